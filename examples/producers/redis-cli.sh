#!/usr/bin/env bash
# Adds a request at the Redis door.
#
#     REDIS_URL=redis://redis.internal REDIS_USER=billrunner-producer REDISCLI_AUTH=… redis-cli.sh RESELLER_ID BILLING_PERIOD
#
# REDIS_SOCKET names a unix socket in place of REDIS_URL; BILLRUNNER_REDIS_PREFIX renames the stream as billrunner's does.
# Run again it changes nothing: the same source and id are the same job. Requests that are refused go, with the reason, to
# <prefix>:intake:rejected, which a producer's user cannot read: ask who runs billrunner.
set -euo pipefail

reseller_id=$1 billing_period=$2
server=(-u "${REDIS_URL:-redis://localhost}")
if [ -n "${REDIS_SOCKET:-}" ]; then server=(-s "$REDIS_SOCKET"); fi
if [ -n "${REDIS_USER:-}" ]; then server+=(--user "$REDIS_USER"); fi

# -e: an error of the server is this script's too.
redis-cli "${server[@]}" --no-auth-warning -e XADD "${BILLRUNNER_REDIS_PREFIX:-billrunner}:intake" '*' ce '{
    "specversion": "1.0",
    "type": "billrunner.bill_run.start.v1",
    "source": "shop",
    "id": "approved/'"$reseller_id/$billing_period"'",
    "data": {
        "reseller_id": "'"$reseller_id"'", "provider": "aws", "billing_period": "'"$billing_period"'", "run_id": "approved"
    }
}'
