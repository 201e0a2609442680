#!/usr/bin/env python3
"""Measures how fast mails are rendered and sent, against smtp-source and nodemailer, in turns on one machine.

    benches/mail/compare.py [--rounds 5] [--mails 10000] [--connections 32]

README.md beside this file says what is compared and what it needs.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NODEMAILER = "nodemailer@7"
GOALS = {"smtp-source": "0.4", "nodemailer": "5"}


def run(*command, env=None, cwd=None):
    done = subprocess.run([str(word) for word in command], env=env, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def unpack_postfix(folder):
    """Debian's package, without installing it: its programs and the libraries beside them."""
    run("apt-get", "download", "postfix", cwd=folder)
    run("dpkg", "-x", *Path(folder).glob("postfix_*.deb"), folder)
    libraries = Path(folder) / "usr/lib/postfix"
    return Path(folder) / "usr/sbin", {**os.environ, "LD_LIBRARY_PATH": str(libraries)}


def build():
    """Builds the bench and returns its program."""
    built = run("cargo", "bench", "--bench", "mail", "--no-run", "--message-format", "json", cwd=ROOT)
    for line in built.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "mail":
            return message["executable"]
    sys.exit("cargo named no program for the bench `mail`")


class Sink:
    """A smtp-sink that runs as long as the block."""

    def __init__(self, programs, env):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.command = [str(programs / "smtp-sink"), *user, f"127.0.0.1:{self.port}", "1024"]
        self.env = env

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=self.env, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self.port
            except OSError:
                time.sleep(0.01)
        sys.exit("smtp-sink does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def ours(program, port, arguments):
    said = run(program, f"smtp://127.0.0.1:{port}", arguments.mails, arguments.connections)
    print(said.replace("\n", "; "), file=sys.stderr)
    return float(re.search(r"sent (\d+)", said).group(1)), int(re.search(r"size (\d+)", said).group(1))


def smtp_source(programs, env, port, size, arguments):
    began = time.monotonic()
    run(programs / "smtp-source", "-s", arguments.connections, "-m", arguments.mails, "-l", size, "-d",
        "-f", "facturas@nubes.example", "-t", "ana@panaderia.example", f"127.0.0.1:{port}", env=env)
    return arguments.mails / (time.monotonic() - began)


def nodemailer(folder, port, arguments):
    html, text = Path(folder) / "body.html", Path(folder) / "body.txt"
    html.write_text("<p>Su factura del periodo está lista.</p>\n" * 150)
    text.write_text("Su factura del periodo está lista.\n" * 30)
    seconds = run("node", Path(folder) / "nodemailer_run.mjs", port, arguments.mails, arguments.connections, html, text)
    return arguments.mails / float(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    program = build()
    results = {"billrunner": [], "smtp-source": [], "nodemailer": []}
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        programs, env = unpack_postfix(folder)
        (Path(folder) / "nodemailer_run.mjs").write_text((HERE / "nodemailer_run.mjs").read_text())
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, NODEMAILER, cwd=folder)
        for number in range(arguments.rounds):
            with Sink(programs, env) as port:
                rate, size = ours(program, port, arguments)
                results["billrunner"].append(rate)
                results["smtp-source"].append(smtp_source(programs, env, port, size, arguments))
                results["nodemailer"].append(nodemailer(folder, port, arguments))
            said = ", ".join(f"{name} {rates[-1]:,.0f}" for name, rates in results.items())
            print(f"round {number + 1}: {said} mails a second", file=sys.stderr)
    print(f"\n{size:,} bytes a mail, {arguments.connections} connections\n")
    print("| mails a second | median (least to most) | billrunner is | goal |\n|---|---|---|---|")
    for name, rates in results.items():
        ratios = [mine / theirs for mine, theirs in zip(results["billrunner"], rates)]
        ratio = "" if name == "billrunner" else f"{statistics.median(ratios):.2f} × as fast"
        print(f"| {name} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {ratio} "
              f"| {GOALS.get(name, '')} |")


if __name__ == "__main__":
    main()
