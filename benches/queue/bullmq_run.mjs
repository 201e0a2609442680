// Runs no-op jobs through BullMQ: this process adds them in bulk, WORKERS children work.
// Prints the seconds from the first job added to the last one completed.
//
//     node bullmq_run.mjs COUNT WORKERS CONCURRENCY
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Queue, Worker } from "bullmq";

const connection = { path: process.env.REDIS_SOCKET, maxRetriesPerRequest: null };
const [count, workers, concurrency] = process.argv.slice(2).map(Number);

if (process.send) {
  const worker = new Worker("bench", async () => {}, { connection, concurrency, removeOnComplete: { count: 0 } });
  let done = 0;
  worker.on("completed", () => { done += 1; });
  setInterval(() => { if (done) { process.send(done); done = 0; } }, 2);
  await worker.waitUntilReady();
  process.send(0);
} else {
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  const children = Array.from({ length: workers }, () =>
    fork(fileURLToPath(import.meta.url), ["0", "0", String(concurrency)]));
  await Promise.all(children.map((child) => new Promise((ready) => child.once("message", ready))));
  let left = count;
  const finished = new Promise((finish) => {
    for (const child of children) child.on("message", (done) => { if ((left -= done) <= 0) finish(); });
  });
  const started = performance.now();
  for (let first = 0; first < count; first += 1000) {
    const size = Math.min(1000, count - first);
    await queue.addBulk(Array.from({ length: size }, () => ({ name: "noop", data: {}, opts: { removeOnComplete: true } })));
  }
  await finished;
  console.log((performance.now() - started) / 1000);
  for (const child of children) child.kill();
  await queue.close();
}
