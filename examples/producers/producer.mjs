// Hands in one bill run and one batch over HTTP, with Node 18 or later. Needs BILLRUNNER_URL and BILLRUNNER_API_KEY.

const source = process.env.BILLRUNNER_SOURCE ?? "shop";
const resellerId = "0199a000-0000-7000-8000-000000000001";

function event(id, provider, billingPeriod) {
  const data = { reseller_id: resellerId, provider, billing_period: billingPeriod, run_id: "monthly" };
  return { specversion: "1.0", id, source, type: "billrunner.bill_run.start.v1", data };
}

/** Sends until there is an answer, which is safe: the same id is the same job. */
async function post(mediaType, body) {
  for (let attempt = 0; attempt < 5; attempt++) {
    let seconds = 2 ** attempt;
    try {
      const answer = await fetch(`${process.env.BILLRUNNER_URL}/v1/jobs`, {
        method: "POST",
        headers: { Authorization: `Bearer ${process.env.BILLRUNNER_API_KEY}`, "Content-Type": mediaType },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
      });
      if (![408, 429, 502, 503, 504].includes(answer.status)) {
        return { status: answer.status, body: await answer.json() };
      }
      seconds = Number(answer.headers.get("retry-after") ?? seconds);
    } catch (error) {
      console.error("no answer:", error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
  throw new Error("billrunner does not answer");
}

async function handIn(what, event) {
  const { status, body } = await post("application/cloudevents+json", event);
  if (status === 202) console.log(`${what}: accepted`);
  else if (status === 200) console.log(`${what}: accepted before`);
  else if (status === 409) console.log(`${what}: conflict, the id was used for another payload`);
  else throw new Error(`${what}: refused: ${body.detail}`);
}

await handIn("first", event("node-1", "aws", "2026-08"));
await handIn("repeat", event("node-1", "aws", "2026-08"));
await handIn("other", event("node-1", "aws", "2026-09"));

const batch = [event("node-2", "google", "2026-08"), event("node-3", "aws", "2026-13")];
const { status, body } = await post("application/cloudevents-batch+json", batch);
if (status !== 200) throw new Error(`batch: refused: ${body.detail}`);
console.log("batch: statuses", ...body.results.map((result) => result.status));
