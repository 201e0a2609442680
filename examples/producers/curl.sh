#!/bin/sh
# Hands in one bill run and one batch over HTTP, with curl. Needs BILLRUNNER_URL and BILLRUNNER_API_KEY.
set -eu

source=${BILLRUNNER_SOURCE:-shop}
reseller=0199a000-0000-7000-8000-000000000001

event() { # id, provider, billing period
    printf '{"specversion": "1.0", "id": "%s", "source": "%s", "type": "billrunner.bill_run.start.v1",
        "data": {"reseller_id": "%s", "provider": "%s", "billing_period": "%s", "run_id": "monthly"}}' \
        "$1" "$source" "$reseller" "$2" "$3"
}

# Prints the status and the body. --retry waits as Retry-After says and sends again after 408, 429, 5xx and a broken
# connection, which is safe: the same id is the same job.
post() { # media type, body
    printf 'header = "Authorization: Bearer %s"\n' "$BILLRUNNER_API_KEY" |
        curl --silent --show-error --config - --retry 5 --retry-connrefused --max-time 30 --retry-max-time 120 \
            --header "Content-Type: $1" --data-binary "$2" --write-out '\n%{http_code}\n' "$BILLRUNNER_URL/v1/jobs"
}

report() { # what, answer
    case $(printf '%s\n' "$2" | tail -n 1) in
    202) echo "$1: accepted" ;;
    200) echo "$1: accepted before" ;;
    409) echo "$1: conflict, the id was used for another payload" ;;
    *) echo "$1: refused: $2" >&2; exit 1 ;;
    esac
}

one=application/cloudevents+json
report first "$(post $one "$(event curl-1 aws 2026-08)")"
report repeat "$(post $one "$(event curl-1 aws 2026-08)")"
report other "$(post $one "$(event curl-1 aws 2026-09)")"

answer=$(post application/cloudevents-batch+json "[$(event curl-2 google 2026-08), $(event curl-3 aws 2026-13)]")
case $(printf '%s\n' "$answer" | tail -n 1) in
200) echo "batch: statuses" $(printf '%s' "$answer" | grep -o '{"status":[0-9]*' | grep -o '[0-9]*$') ;;
*) echo "batch: refused: $answer" >&2; exit 1 ;;
esac
