#!/usr/bin/env python3
"""Measures the console's pages on a long ledger and prints them beside their limits as Markdown.

    bin/with-servers benches/pages/measure.py [--finished 1000000] [--waiting 20000] [--times 50] [--program PATH]

README.md beside this file says what is measured.
"""

import argparse
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGES = ["/", "/?window=1h", "/?window=7d", "/queues", "/jobs", "/jobs?state=dead", "/jobs?kind=render_document",
         "/jobs?customer=Customer+7", "/jobs?error=no+exchange+rate", "/jobs/{job}", "/dead", "/schedules", "/workers",
         "/bill-runs", "/bill-runs/{run}", "/notifications", "/notifications?state=failed", "/notifications/{told}",
         "/notifications/suppressions", "/audit", "/audit/invoices"]
LIMIT_MS = 100
LIMIT_BYTES = 60_000

URL = os.environ.get("DATABASE_URL") or sys.exit("DATABASE_URL is not set; run this under bin/with-servers")
POSTGRES_HOST = re.search(r"host=([^&]+)", URL).group(1)


def run(*command, env=None):
    done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    return done.stdout


def psql(*arguments):
    return run("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", POSTGRES_HOST, "-U", "postgres", "-d", "postgres", *arguments)


def one(question):
    return psql("-c", question).strip()


def count_minutes(program, env):
    """Has a worker count the finished jobs, and waits until it has."""
    worker = subprocess.Popen([program, "worker"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while one("SELECT counted_until > now() - interval '4 minutes' FROM billrunner.job_rates_counted") != "t":
            if worker.poll() is not None:
                sys.exit("the worker ended by itself")
            time.sleep(0.5)
    finally:
        worker.terminate()
        worker.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def ask(connection, path, token, times):
    took, size = [], 0
    for _ in range(times):
        began = time.perf_counter()
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - began) * 1000)
        size = len(body)
        if answer.status != 200:
            sys.exit(f"{path} was answered with {answer.status}: {body[:300]}")
    return took, size


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/billrunner")
    asked = parser.parse_args()
    port = free_port()
    folder = os.path.dirname(POSTGRES_HOST)
    env = {**os.environ, "BILLRUNNER_LOG": "error", "BILLRUNNER_HTTP_ADDRESS": f"127.0.0.1:{port}",
           "BILLRUNNER_OBJECT_STORE": f"file://{folder}/objects", "SMTP_URL": f"file://{folder}/mails"}
    run(asked.program, "migrate", env=env)
    psql("-v", f"finished={asked.finished}", "-f", HERE / "fill.sql")
    count_minutes(asked.program, env)
    psql("-v", f"waiting={asked.waiting}", "-f", HERE / "waiting.sql")
    made = json.loads(run(asked.program, "users", "tokens", "add", "bench", "--role", "viewer", "--reason", "bench", "--json", env=env))
    token = next(value for value in made.values() if str(value).startswith("brc_"))
    names = {
        "job": one("SELECT id FROM billrunner.jobs WHERE state = 'dead' LIMIT 1"),
        "run": one("SELECT id FROM billrunner.bill_runs LIMIT 1"),
        "told": one("SELECT id FROM billrunner.notifications LIMIT 1"),
    }
    run(asked.program, "users", "add", "bench-user", "--role", "viewer", "--reason", "bench", env=env)
    web = subprocess.Popen([asked.program, "web"], env=env, stdout=subprocess.DEVNULL)
    try:
        while not answers(port):
            time.sleep(0.1)
        print("| page | p50 | p95 | of 100 ms | size | of 60 kB |\n|---|---|---|---|---|---|")
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for page in PAGES:
            took, size = ask(connection, page.format(**names), token, asked.times)
            slow = statistics.quantiles(took, n=20)[-1]
            print(f"| `{page}` | {statistics.median(took):.1f} ms | {slow:.1f} ms | {slow / LIMIT_MS:.2f} "
                  f"| {size / 1000:.1f} kB | {size / LIMIT_BYTES:.2f} |", flush=True)
    finally:
        web.terminate()
        web.wait()


main()
