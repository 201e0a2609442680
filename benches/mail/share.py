#!/usr/bin/env python3
"""Measures what a mail costs as a whole job, through the ledger, beside rendering and sending it alone.

    bin/with-servers --durable benches/mail/share.py [--mails 3000] [--rounds 3] [--connections 32]

README.md beside this file says what is measured and what it needs.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare

PROGRAM = compare.ROOT / "target/release/billrunner"
MONTH = "2026-05"
TICKS = os.sysconf("SC_CLK_TCK")


class Ledger:
    """A reseller whose invoices are open, each with a document and a mail that waits because the queue is paused."""

    def __init__(self, folder, port, arguments):
        self.arguments = arguments
        self.env = os.environ | {
            "BILLRUNNER_OBJECT_STORE": f"file://{folder}/objects",
            "SMTP_URL": f"smtp://127.0.0.1:{port}?connections={arguments.connections}",
            "BILLRUNNER_CONCURRENCY_MAIL": str(arguments.connections),
            "BILLRUNNER_DATABASE_CONNECTIONS": str(arguments.connections + 20),
            "BILLRUNNER_LOG": "error",
        }
        charges, directory = f"{folder}/charges.csv", f"{folder}/directory.json"
        self.run("migrate")
        self.run("sample-data", "--provider", "aws", "--rows", arguments.mails * 20, "--customers", arguments.mails,
                 "--billing-period", MONTH, "--out", charges, "--directory", directory)
        self.run("directory", directory)
        self.reseller = json.loads(Path(directory).read_text())["reseller"]["id"]
        self.charges = charges

    def run(self, *command):
        return compare.run(PROGRAM, *command, env=self.env)

    def ask(self, query):
        return compare.run("psql", os.environ["DATABASE_URL"], "--no-psqlrc", "-qAt", "-c", f"SET search_path=billrunner; {query}").strip()

    def until(self, query, answer):
        while self.ask(query) != answer:
            time.sleep(0.1)

    def prepare(self):
        """Opens every invoice and renders its document; returns how many mails wait."""
        self.run("queues", "pause", "mail", "--reason", "until all documents are there")
        self.run("import", "--reseller", self.reseller, "--provider", "aws", self.charges, "--wait")
        self.run("bill-runs", "start", "--reseller", self.reseller, "--provider", "aws", "--period", MONTH, "--open",
                 "--notify", "--wait")
        self.until("SELECT count(*) FROM jobs WHERE finished_at IS NULL AND queue <> 'mail'", "0")
        return int(self.ask("SELECT count(*) FROM notifications WHERE state = 'queued'"))

    def send(self, worker):
        """Lets the mails go; returns seconds and the processor seconds of the worker, Postgres and Redis."""
        before = processor_times(worker)
        began = time.monotonic()
        self.run("queues", "resume", "mail", "--reason", "all documents are there")
        self.until("SELECT count(*) FROM jobs WHERE finished_at IS NULL", "0")
        seconds, after = time.monotonic() - began, processor_times(worker)
        wrong = self.ask("SELECT count(*) FROM notifications WHERE state <> 'sent'")
        if wrong != "0":
            sys.exit(f"{wrong} notifications were not sent")
        return seconds, {name: after[name] - before[name] for name in after}

    def again(self):
        """Puts every mail back, as if its job had just been handed in."""
        self.run("queues", "pause", "mail", "--reason", "another round")
        self.ask("""UPDATE notifications SET state = 'queued';
            UPDATE jobs SET state = 'scheduled', attempt = 0, started_attempt = 0, finished_at = NULL, run_at = now()
            WHERE kind = 'send_notification';
            DELETE FROM job_attempts USING jobs WHERE job_id = jobs.id AND kind = 'send_notification'""")


def processor_times(worker):
    """Returns processor seconds so far by who spent them; processes of Postgres that ended are those nobody waits for."""
    spent = {"worker": 0.0, "Postgres": 0.0, "Redis": 0.0}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text, user = (path / "stat").read_text(), int(path.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, fields = text[text.index("(") + 1:text.rindex(")")], text.rsplit(")", 1)[1].split()
        who = {"postgres": "Postgres", "redis-server": "Redis"}.get(name, "worker" if user == worker else None)
        if who:
            spent[who] += (int(fields[11]) + int(fields[12])) / TICKS
    return spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    bench = compare.build()
    whole, alone, spent = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        programs, env = compare.unpack_postfix(folder)
        with compare.Sink(programs, env) as port:
            ledger = Ledger(folder, port, arguments)
            worker = subprocess.Popen([PROGRAM, "worker"], env=ledger.env)
            try:
                arguments.mails = ledger.prepare()
                for number in range(arguments.rounds):
                    if number:
                        ledger.again()
                    alone.append(compare.ours(bench, port, arguments)[0])
                    seconds, processor = ledger.send(worker.pid)
                    whole.append(arguments.mails / seconds)
                    spent.append({name: time / arguments.mails * 1e6 for name, time in processor.items()})
                    print(f"round {number + 1}: alone {alone[-1]:,.0f}, whole jobs {whole[-1]:,.0f} a second; "
                          + ", ".join(f"{name} {micros:.0f} µs" for name, micros in spent[-1].items()), file=sys.stderr)
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait()
    shares = [job / mail for job, mail in zip(whole, alone)]
    print(f"\n{arguments.mails:,} mails, {arguments.connections} connections\n")
    print("| mails a second | median (least to most) |\n|---|---|")
    for name, rates in (("rendered and sent alone", alone), ("whole jobs, from the queue to the outcome", whole)):
        print(f"| {name} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) |")
    print(f"\nRendering and sending is {statistics.median(shares):.0%} of a whole job. Processor time of a job: "
          + ", ".join(f"{name} {statistics.median(one[name] for one in spent):.0f} µs" for name in spent[0]) + ".")


if __name__ == "__main__":
    main()
