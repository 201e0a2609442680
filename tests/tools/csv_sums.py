"""Reads CSV files with two parsers, Python's and DuckDB's, and prints a line of JSON each: rows, columns and a column's sum.

The file named as argument has a line of JSON a CSV file: path, delimiter, decimal_mark, column. Fails where a parser refuses a file, where
rows differ in length, or where the two do not read the same cells.
"""

import csv
import gzip
import json
import sys
from decimal import Context, Decimal

import duckdb

LARGEST_CELL = 4_000_000
EXACT = Context(prec=200)


def with_python(path, delimiter):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        return [tuple(row) for row in csv.reader(file, delimiter=delimiter, strict=True)]


def with_duckdb(path, delimiter):
    read = duckdb.sql(
        "SELECT * FROM read_csv($path, delim = $delimiter, header = false, all_varchar = true, quote = '\"',"
        " escape = '\"', auto_detect = false, columns = $columns, max_line_size = $largest)",
        params={
            "path": path,
            "delimiter": delimiter,
            "columns": {f"c{n}": "VARCHAR" for n in range(len(with_python(path, delimiter)[0]))},
            "largest": LARGEST_CELL,
        },
    )
    return [tuple(cell or "" for cell in row) for row in read.fetchall()]


def main():
    csv.field_size_limit(LARGEST_CELL)
    with open(sys.argv[1], encoding="utf-8") as orders:
        asked_of_each = [json.loads(line) for line in orders]
    for asked in asked_of_each:
        python, other = (read(asked["path"], asked["delimiter"]) for read in (with_python, with_duckdb))
        # DuckDB keeps the byte order mark where it is told the columns.
        other[0] = (other[0][0].removeprefix("\ufeff"), *other[0][1:])
        assert {len(row) for row in python} == {len(python[0])}, "rows differ in length"
        assert python == other, next(pair for pair in zip(python, other) if pair[0] != pair[1])
        cells = [row[asked["column"]].replace(asked["decimal_mark"], ".") for row in python[1:]]
        total = Decimal(0)
        for cell in cells:
            total = EXACT.add(total, Decimal(cell))
        print(json.dumps({"rows": len(cells), "columns": len(python[0]), "sum": str(total)}))


main()
