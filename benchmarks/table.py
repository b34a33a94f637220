"""The tables of speed and of faults in RESULTS.md, from the JSON files in benchmarks/results."""

import re

from benchmarks.side_by_side import RESULTS
from storage.files import atomic, read_json

PAGE = RESULTS.parents[1] / "RESULTS.md"
BEGIN, END = "<!-- table: make bench writes it -->\n", "<!-- end of table -->"
FAULTS_BEGIN, FAULTS_END = "<!-- faults: make faults writes it -->\n", "<!-- end of faults -->"
COUNTS = ("injected", "detected", "recovered", "silent")


def table(records):
    """Markdown table of records as `side_by_side.write` makes them, a row each."""
    rows = [
        f"| `{r['name']}` | {r['ours']:.3g} {r['unit']} | {r['peer']:.3g} {r['unit']} | {r['ratio']:.2f} "
        f"| {'≥ ' + format(r['aim'], 'g') if r['aim'] else '–'} | {cpu_ratio(r)} | {r['machine']['load_before']:.1f} | {r['what']} |"
        for r in records
    ]
    head = "| benchmark | ours | peer | ratio | aim | of CPU time | load before | what |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows]) + "\n"


def cpu_ratio(record):
    """The ratio of CPU times as text; – where it was not taken."""
    return f"{record['ratio_of_cpu_time']:.2f}" if "ratio_of_cpu_time" in record else "–"


def fault_table(records):
    """Markdown table of the classes that `faults` has counted."""
    rows = [f"| {r['class']} | " + " | ".join(f"{r[name]:,}" for name in COUNTS) + " |" for r in records]
    return "\n".join([f"| class | {' | '.join(COUNTS)} |", "|---|" + "---:|" * len(COUNTS), *rows]) + "\n"


def replace(page, begin, end, text):
    """Put `text` between two marks of a page."""
    found = re.sub(f"{begin}.*?{end}", lambda _: begin + text + end, page.read_text(), flags=re.DOTALL)
    with atomic(page) as temporary:
        temporary.write_text(found)


def main():
    """Write both tables between their marks in RESULTS.md."""
    records = [read_json(path) for path in sorted(RESULTS.glob("*.json"))]
    replace(PAGE, BEGIN, END, table(record for record in records if "ratio" in record))
    replace(PAGE, FAULTS_BEGIN, FAULTS_END, fault_table(row for record in records for row in record.get("classes", [])))


if __name__ == "__main__":
    main()
