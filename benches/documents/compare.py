#!/usr/bin/env python3
"""Renders the same small invoices by billrunner, Typst and WeasyPrint, in turns, and prints medians and ratios as Markdown.

    benches/documents/compare.py [--rounds 3]

README.md beside this file says what is compared and what it needs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    import typst
    import weasyprint
except ImportError as error:
    sys.exit(f"{error}; run: pip install typst weasyprint")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def bench(*arguments):
    command = ["cargo", "bench", "--quiet", "--bench", "documents", "--", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def seconds_each(count, render):
    """Processor time of all threads, after one document that is not counted."""
    render(0)
    start = time.process_time()
    for number in range(1, count + 1):
        render(number)
    return (time.process_time() - start) / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        bench("--write", folder)
        compiler = typst.Compiler(root="/", ignore_system_fonts=True, font_paths=[str(ROOT / "src/documents/fonts")])
        template = str(HERE / "invoice.typ")
        sizes = {}

        def by_typst(number):
            inputs = {"data": f"{folder}/{number}.json"}
            sizes["Typst"] = len(compiler.compile(input=template, sys_inputs=inputs, pdf_tags=False))

        def by_weasyprint(number):
            sizes["WeasyPrint"] = len(weasyprint.HTML(filename=f"{folder}/{number}.html").write_pdf())

        peers = {
            "billrunner": lambda: int(bench("--small", 1000)) / 1e9,
            "Typst": lambda: seconds_each(100, by_typst),
            "WeasyPrint": lambda: seconds_each(8, by_weasyprint),
        }
        taken = {name: [] for name in peers}
        for _ in range(rounds):
            for name, measure in peers.items():
                taken[name].append(measure())
        sizes["billrunner"] = os.path.getsize(f"{folder}/0.pdf")

    print("| small invoice, 20 lines | documents a second of processor time: median (least to most) | kB | billrunner is |")
    print("|---|---|---|---|")
    for name, each in taken.items():
        rates = [1 / seconds for seconds in each]
        ratio = statistics.median(other / own for own, other in zip(taken["billrunner"], each))
        beside = "" if name == "billrunner" else f"{ratio:.1f} × as fast"
        print(f"| {name} | {statistics.median(rates):,.1f} ({min(rates):,.1f} to {max(rates):,.1f})"
              f" | {sizes[name] / 1000:.0f} | {beside} |")


if __name__ == "__main__":
    main()
