"""Hands in one bill run and one batch over HTTP, with Python. Needs BILLRUNNER_URL and BILLRUNNER_API_KEY."""

import json
import os
import time
import urllib.error
import urllib.request

SOURCE = os.environ.get("BILLRUNNER_SOURCE", "shop")
RESELLER = "0199a000-0000-7000-8000-000000000001"


def event(id, provider, billing_period):
    data = {"reseller_id": RESELLER, "provider": provider, "billing_period": billing_period, "run_id": "monthly"}
    return {"specversion": "1.0", "id": id, "source": SOURCE, "type": "billrunner.bill_run.start.v1", "data": data}


def post(media_type, body):
    """Sends until there is an answer, which is safe: the same id is the same job."""
    request = urllib.request.Request(
        os.environ["BILLRUNNER_URL"] + "/v1/jobs",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["BILLRUNNER_API_KEY"], "Content-Type": media_type},
    )
    for attempt in range(5):
        wait = 2**attempt
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            if answer.code not in (408, 429, 502, 503, 504):
                return answer.code, json.load(answer)
            wait = int(answer.headers.get("Retry-After", wait))
        except OSError as error:
            print("no answer:", error)
        time.sleep(wait)
    raise SystemExit("billrunner does not answer")


def hand_in(what, event):
    status, answer = post("application/cloudevents+json", event)
    if status == 202:
        print(f"{what}: accepted")
    elif status == 200:
        print(f"{what}: accepted before")
    elif status == 409:
        print(f"{what}: conflict, the id was used for another payload")
    else:
        raise SystemExit(f"{what}: refused: {answer['detail']}")


hand_in("first", event("python-1", "aws", "2026-08"))
hand_in("repeat", event("python-1", "aws", "2026-08"))
hand_in("other", event("python-1", "aws", "2026-09"))

batch = [event("python-2", "google", "2026-08"), event("python-3", "aws", "2026-13")]
status, answer = post("application/cloudevents-batch+json", batch)
if status != 200:
    raise SystemExit(f"batch: refused: {answer['detail']}")
print("batch: statuses", *(result["status"] for result in answer["results"]))
