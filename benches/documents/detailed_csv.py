#!/usr/bin/env python3
"""The detailed CSV beside `psql \\copy (query) to` of the same rows, in turn, in one run:

    cargo build --release && bin/with-servers benches/documents/detailed_csv.py --rows 300000 --rounds 3

Both read the rows of one draft in the same order. billrunner prices each, hides what is the reseller's, writes and stores the
file as its job does in a worker; psql writes the columns as they are. Rates are by the clock and by the processor time of
client and Postgres together: on a machine that does other work too, the second can be compared.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
MONTH = "2026-05"
# As in src/store/detailed_charges.rs.
QUERY = """SELECT charges.billed_cost, charges.billing_currency, charges.charge_category, charges.sub_account_id,
    charges.sub_account_name, charges.service_name, charges.service_category, charges.charge_class,
    charges.charge_description, charges.charge_period_start, charges.charge_period_end, charges.consumed_quantity,
    charges.consumed_unit, charges.region_id, charges.resource_id, charges.resource_name, charges.sku_id, charges.tags,
    charges.x_columns
FROM billrunner.invoices invoice
JOIN billrunner.invoice_sources source ON source.reseller_id = invoice.reseller_id AND source.invoice_id = invoice.id
JOIN billrunner.charges ON charges.reseller_id = source.reseller_id AND charges.charge_scope_id = source.charge_scope_id
    AND charges.billing_period_start = invoice.billing_period_start AND charges.billing_currency = source.cost_currency
JOIN billrunner.accounts_of_invoices account ON account.reseller_id = invoice.reseller_id
    AND account.invoice_id = invoice.id AND account.account_id = charges.sub_account_id
    AND account.days @> (charges.charge_period_start AT TIME ZONE 'UTC')::date
WHERE invoice.reseller_id = '{reseller}' AND invoice.id = '{invoice}' AND charges.charge_category <> 'Tax'
ORDER BY charges.sub_account_id, charges.charge_period_start, charges.charge_scope_id, charges.row_number"""


def stat(pid):
    """Returns a process's parent and its processor time in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS


def servers(parent):
    """Returns the processor time of each process of Postgres."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            of, seconds = stat(path.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if of == parent:
            found[path.name] = seconds
    return found


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.environment = os.environ | {
            "BILLRUNNER_OBJECT_STORE": f"file://{folder}/objects",
            "SMTP_URL": f"file://{folder}/mails",
            "BILLRUNNER_LOG": "warn",
        }

    def billrunner(self, *arguments):
        program = ROOT / "target/release/billrunner"
        return subprocess.run([program, *arguments], env=self.environment, check=True, capture_output=True, text=True).stdout

    def psql(self, script):
        command = ["psql", os.environ["DATABASE_URL"], "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(command, input=script, check=True, capture_output=True, text=True).stdout.strip()

    def copy(self, query):
        """Returns seconds, and the processor time of psql and its backend."""
        out = f"{self.folder}/copy.csv"
        script = f"SELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n\\copy ({query}) TO '{out}' WITH (FORMAT csv, HEADER)\n\\! cat /proc/$PID/stat\n"
        before, started = os.times(), time.monotonic()
        said = self.psql(script.replace(query, " ".join(query.split())))
        seconds, after = time.monotonic() - started, os.times()
        fields = said.splitlines()[-1].rsplit(")", 1)[1].split()
        children = after.children_user + after.children_system - before.children_user - before.children_system
        return seconds, children, (int(fields[11]) + int(fields[12])) / TICKS

    def render(self, worker, parent, payload):
        """Returns seconds of the attempt, and the processor time of the worker and of Postgres's processes."""
        before = (stat(worker)[1], servers(parent))
        job = json.loads(self.billrunner("enqueue", "render_document", json.dumps(payload), "--wait", "--json"))
        after = (stat(worker)[1], servers(parent))
        took = self.psql(f"SELECT extract(epoch FROM finished_at - started_at) FROM billrunner.job_attempts WHERE job_id = '{job['job_id']}'")
        backends = sum(seconds - before[1].get(pid, 0) for pid, seconds in after[1].items())
        return float(took), after[0] - before[0], backends


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        charges, directory = f"{folder}/charges.csv", f"{folder}/directory.json"
        bench.billrunner("migrate")
        bench.billrunner("sample-data", "--provider", "aws", "--rows", str(arguments.rows), "--customers", "1",
                         "--billing-period", MONTH, "--out", charges, "--directory", directory)
        bench.billrunner("directory", directory)
        reseller = json.loads(pathlib.Path(directory).read_text())["reseller"]["id"]
        worker = subprocess.Popen([ROOT / "target/release/billrunner", "worker"], env=bench.environment)
        try:
            bench.billrunner("import", "--reseller", reseller, "--provider", "aws", charges, "--wait")
            run = {"reseller_id": reseller, "provider": "aws", "billing_period": MONTH, "run_id": "bench"}
            bench.billrunner("enqueue", "start_bill_run", json.dumps(run), "--wait")
            while not (found := bench.psql("SELECT id, version FROM billrunner.invoices")):
                time.sleep(0.2)
            invoice, version = found.splitlines()[0].split("|")
            bench.psql("VACUUM ANALYZE billrunner.charges")
            measure(bench, arguments, worker.pid, reseller, (invoice, int(version)))
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()


def measure(bench, arguments, worker, reseller, draft):
    query = QUERY.format(reseller=reseller, invoice=draft[0])
    rows = int(bench.psql(f"SELECT count(*) FROM ({query}) AS charge"))
    parent = int(bench.psql("SELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n\\! cat /proc/$PID/stat\n").rsplit(")", 1)[1].split()[1])
    payload = {"reseller_id": reseller, "invoice_id": draft[0], "version": draft[1], "kind": "detailed_csv"}
    copies, renderings = [], []
    for _ in range(arguments.rounds):
        copies.append(bench.copy(query))
        renderings.append(bench.render(worker, parent, payload))
        for name, (seconds, client, backend) in (("psql \\copy", copies[-1]), ("detailed_csv", renderings[-1])):
            print(f"{name:<13}{seconds:7.2f} s; processor: client {client:.2f} s, Postgres {backend:.2f} s", flush=True)
    by_clock, by_processor = (
        statistics.median(map(of, copies)) / statistics.median(map(of, renderings))
        for of in (lambda taken: taken[0], lambda taken: taken[1] + taken[2])
    )
    peak = next(line for line in pathlib.Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(f"{rows} rows: detailed_csv is {by_clock:.2f} x as fast as psql by the clock, {by_processor:.2f} by processor time")
    print(f"peak memory of the worker, import and billing included: {int(peak.split()[1]) // 1024} MB")


if __name__ == "__main__":
    main()
