#!/usr/bin/env python3
"""What is left of sending when each mail is a job of the ledger: whole jobs beside sending alone, in turn, to one sink.

    cargo build --release && bin/with-servers --durable benches/mail/whole_job.py [--mails 2000] [--connections 32]

README.md beside this file says what a whole job is. It needs what compare.py needs, but for Node.js.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare

PROGRAM = compare.ROOT / "target/release/billrunner"
MONTH = "2026-05"


class Office:
    """A reseller with an invoice and a mail for each customer, its worker, and the sink that mails go to."""

    def __init__(self, folder, port, connections):
        self.folder = Path(folder)
        self.environment = os.environ | {
            "BILLRUNNER_OBJECT_STORE": f"file://{folder}/objects",
            "SMTP_URL": f"smtp://127.0.0.1:{port}?connections={connections}",
            "BILLRUNNER_CONCURRENCY_MAIL": str(connections),
            "BILLRUNNER_DATABASE_CONNECTIONS": str(connections + 8),
            "BILLRUNNER_LOG": "error",
        }

    def billrunner(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"billrunner {' '.join(map(str, arguments))} failed:\n{done.stdout}{done.stderr}")

    def count(self, sql):
        command = ["psql", os.environ["DATABASE_URL"], "--no-psqlrc", "-qAt", "-c", sql]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def wait_for(self, sql, count):
        while (found := self.count(sql)) < count:
            print(f"\r{found} of {count}", end="", file=sys.stderr)
            time.sleep(0.05)

    def prepare(self, mails):
        """Opens an invoice for each customer and renders all that its mail attaches; the mails wait."""
        charges, directory = self.folder / "charges.csv", self.folder / "directory.json"
        self.billrunner("migrate")
        self.billrunner("sample-data", "--provider", "aws", "--rows", str(40 * mails), "--customers", str(mails),
                        "--billing-period", MONTH, "--out", charges, "--directory", directory)
        self.billrunner("directory", directory)
        reseller = json.loads(directory.read_text())["reseller"]["id"]
        self.billrunner("queues", "pause", "mail", "--reason", "until all is rendered")
        self.worker = subprocess.Popen([PROGRAM, "worker"], env=self.environment)
        self.billrunner("import", "--reseller", reseller, "--provider", "aws", charges, "--wait")
        run = {"reseller_id": reseller, "provider": "aws", "billing_period": MONTH, "run_id": "bench",
               "status": "open", "notify": True}
        self.billrunner("enqueue", "start_bill_run", json.dumps(run), "--wait")
        self.wait_for("SELECT count(*) FROM billrunner.jobs WHERE kind = 'send_notification'", mails)
        # Documents that no mail waits for are rendered to the end, so that nothing else runs beside the mails.
        self.wait_for("SELECT (count(*) = 0)::int FROM billrunner.jobs WHERE kind <> 'send_notification' "
                      "AND state IN ('awaiting', 'scheduled', 'dispatched', 'running')", 1)

    def send(self, mails):
        """Lets the mails go and returns how many were sent a second, by the database's own record."""
        self.billrunner("queues", "resume", "mail", "--reason", "all is rendered")
        self.wait_for("SELECT count(*) FROM billrunner.notifications WHERE state = 'sent'", mails)
        milliseconds = self.count(
            "SELECT (1000 * extract(epoch FROM max(finished_at) - min(started_at)))::bigint FROM billrunner.job_attempts "
            "JOIN billrunner.jobs ON jobs.id = job_id WHERE kind = 'send_notification'")
        return mails / milliseconds * 1000

    def close(self):
        self.worker.send_signal(signal.SIGTERM)
        self.worker.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    program = compare.build()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        programs, env = compare.unpack_postfix(folder)
        with compare.Sink(programs, env) as port:
            alone = compare.ours(program, port, arguments)[0]
            office = Office(folder, port, arguments.connections)
            try:
                office.prepare(arguments.mails)
                whole = office.send(arguments.mails)
            finally:
                office.close()
    print(f"\nsent alone {alone:,.0f} mails a second; whole jobs {whole:,.0f}: a share of {whole / alone:.2f}")


if __name__ == "__main__":
    main()
