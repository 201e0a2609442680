#!/usr/bin/env python3
"""Measures the queue against its peers, in turns on the same servers, and prints medians and ratios as Markdown.

    bin/with-servers --durable benches/queue/compare.py [--rounds 5] [--jobs 50000] [--only noop|realistic|latency]

README.md beside this file says what is compared and what it needs.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BILLRUNNER = ROOT / "target/release/billrunner"
BULLMQ = "bullmq@5"
CLIENTS = 16
PROCESSES = 2

URL = os.environ.get("DATABASE_URL") or sys.exit("DATABASE_URL is not set; run this under bin/with-servers --durable")
SOCKET = os.environ["REDIS_URL"].removeprefix("redis+unix://")
POSTGRES_HOST = re.search(r"host=([^&]+)", URL).group(1)
PEERS = {
    **os.environ,
    "REDIS_SOCKET": SOCKET,
    "DATABASE_URL": f"host={POSTGRES_HOST} user=postgres dbname=postgres",
    "BILLRUNNER_LOG": "error",
}


def run(*command, env=None, cwd=None):
    done = subprocess.run([str(word) for word in command], env=env, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def sql(text):
    return run("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", POSTGRES_HOST, "-U", "postgres", "-d", "postgres", "-c", text)


def flush_redis():
    run("redis-cli", "-s", SOCKET, "FLUSHALL")


def ours(scenario, jobs):
    flush_redis()
    answer = run(BILLRUNNER, "bench", "queue", "--scenario", scenario, "--jobs", jobs, "--concurrency", CLIENTS, "--json",
                 env={**os.environ, "BILLRUNNER_LOG": "error"})
    return json.loads(answer)


def fill_tables(jobs):
    """Makes what `billrunner bench` makes for its own run, for peers that do the same work."""
    sql("""
        CREATE TABLE billrunner.bench_accounts (id integer PRIMARY KEY, name text NOT NULL);
        INSERT INTO billrunner.bench_accounts SELECT n, 'account ' || n FROM generate_series(0, 999) AS n;
        CREATE TABLE billrunner.bench_entries (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id integer NOT NULL, name text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now());
        ANALYZE billrunner.bench_accounts;""")
    sql(f"""
        INSERT INTO billrunner.jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt,
            started_attempt, max_attempts, run_at, worker_id, started_at, checked_at, requested_by)
        SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'realistic', 'status', '{{"account_id": 3}}',
            'bench', gen_random_uuid()::text, sha256('x'), 'running', 1, 1, 10, now(),
            '00000000-0000-7000-8000-000000000000', now(), now(), 'bench'
        FROM generate_series(0, {jobs}) AS n""")


def clear_tables():
    sql("DROP TABLE billrunner.bench_accounts, billrunner.bench_entries;"
        "TRUNCATE billrunner.jobs, billrunner.job_attempts")


def find_pgbench():
    """Debian keeps it beside the server, off the PATH; where it is on the PATH, the server's folder may lack it."""
    beside = Path(run(ROOT / "bin/postgres-bin").strip()) / "pgbench"
    found = [str(path) for path in (beside, *Path("/usr/lib/postgresql").glob("*/bin/pgbench")) if path.exists()]
    return (found or [shutil.which("pgbench")])[0] or sys.exit("pgbench is missing: it comes with Postgres's server")


def pgbench(jobs):
    share = jobs // CLIENTS
    fill_tables(jobs)
    said = run(find_pgbench(), "-n", "-M", "prepared", "-f", HERE / "pgbench.sql",
               "-D", "done=0", "-D", f"share={share}", "-c", CLIENTS, "-j", PROCESSES, "-t", share,
               "-h", POSTGRES_HOST, "-U", "postgres", "postgres")
    completed = int(sql("SELECT count(*) FROM billrunner.job_attempts WHERE outcome = 'done'"))
    if completed != share * CLIENTS:
        sys.exit(f"pgbench completed {completed} jobs instead of {share * CLIENTS}")
    clear_tables()
    return float(re.search(r"tps = ([\d.]+) \(without", said).group(1))


def sidekiq(scenario, jobs, processes):
    flush_redis()
    if scenario == "realistic":
        fill_tables(0)
    command = ["sidekiq", "-r", HERE / "sidekiq_jobs.rb", "-c", str(CLIENTS // processes)]
    servers = [subprocess.Popen(command, env=PEERS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for _ in range(processes)]
    try:
        pids = " ".join(str(server.pid) for server in servers)
        seconds = float(run("ruby", HERE / "sidekiq_run.rb", scenario, jobs, processes, env={**PEERS, "SIDEKIQ_PIDS": pids}))
    finally:
        for server in servers:
            server.send_signal(signal.SIGCONT)
            server.terminate()
        for server in servers:
            server.wait()
    if scenario == "realistic":
        clear_tables()
    return jobs / seconds


def install_bullmq(folder):
    shutil.copy(HERE / "bullmq_run.mjs", folder)
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, BULLMQ, cwd=folder)


def bullmq(folder, jobs, workers):
    flush_redis()
    return jobs / float(run("node", Path(folder) / "bullmq_run.mjs", jobs, workers, CLIENTS // workers, env=PEERS))


def rounds(contestants, count):
    """Runs everybody in turn, so that a machine whose speed drifts is as slow for one as for another."""
    results = {name: [] for name in contestants}
    for number in range(count):
        for name, measure in contestants.items():
            results[name].append(measure())
            print(f"round {number + 1}: {name}: {results[name][-1]:,.0f} jobs a second", file=sys.stderr)
    return results


def report(title, results, goals):
    first = next(iter(results))
    print(f"\n| {title} | jobs a second: median (least to most) | billrunner is | goal |\n|---|---|---|---|")
    for name, rates in results.items():
        ratios = [mine / theirs for mine, theirs in zip(results[first], rates)]
        ratio = "" if name == first else f"{statistics.median(ratios):.2f} × as fast"
        print(f"| {name} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {ratio} | {goals.get(name, '')} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--only", choices=["noop", "realistic", "latency"])
    arguments = parser.parse_args()
    wanted = [arguments.only] if arguments.only else ["noop", "realistic", "latency"]
    jobs = arguments.jobs // CLIENTS * CLIENTS
    run(BILLRUNNER, "migrate")

    if "noop" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            install_bullmq(folder)
            results = rounds({
                "billrunner": lambda: ours("noop", jobs)["jobs_per_second"],
                "Sidekiq, 1 process": lambda: sidekiq("noop", jobs, 1),
                f"Sidekiq, {PROCESSES} processes": lambda: sidekiq("noop", jobs, PROCESSES),
                "BullMQ, 1 process": lambda: bullmq(folder, jobs, 1),
                f"BullMQ, {PROCESSES} processes": lambda: bullmq(folder, jobs, PROCESSES),
            }, arguments.rounds)
        report("no-op jobs", results, {
            "billrunner": "at least 10,000", "Sidekiq, 1 process": "1.5", f"Sidekiq, {PROCESSES} processes": "1.5",
            "BullMQ, 1 process": "3", f"BullMQ, {PROCESSES} processes": "3"})
    if "realistic" in wanted:
        results = rounds({
            "billrunner": lambda: ours("realistic", jobs)["jobs_per_second"],
            "pgbench": lambda: pgbench(jobs),
            "Sidekiq, 1 process": lambda: sidekiq("realistic", jobs, 1),
            f"Sidekiq, {PROCESSES} processes": lambda: sidekiq("realistic", jobs, PROCESSES),
        }, arguments.rounds)
        report("realistic jobs", results, {
            "pgbench": "0.9", "Sidekiq, 1 process": "2", f"Sidekiq, {PROCESSES} processes": "2"})
    if "latency" in wanted:
        print("\n| from request to start, idle | p50 ms | p99 ms | goal |\n|---|---|---|---|")
        for scenario, door in (("latency", "Redis door"), ("latency-http", "HTTP door")):
            measured = ours(scenario, 2000)["accept_to_start_ms"]
            print(f"| {door} | {measured['p50']:.2f} | {measured['p99']:.2f} | 3 and 25 |")


if __name__ == "__main__":
    main()
