"""The tables of speed and of faults in RESULTS.md, from the JSON files in benchmarks/results."""

import re

from benchmarks.side_by_side import RESULTS
from storage.files import atomic, read_json

PAGE = RESULTS.parents[1] / "RESULTS.md"
SPEED_MARKS = "<!-- table: make bench writes it -->\n", "<!-- end of table -->"
FAULT_MARKS = "<!-- faults: make faults writes it -->\n", "<!-- end of faults -->"
COUNTS = ("injected", "detected", "recovered", "silent")


def speed_table(records):
    """Return a Markdown table with one row for each record of `side_by_side.write`."""
    lines = ["| benchmark | ours | peer | ratio | aim | of CPU time | load before | what |", "|---|---|---|---|---|---|---|---|"]
    for record in records:
        cells = [
            f"`{record['name']}`",
            f"{record['ours']:.3g} {record['unit']}",
            f"{record['peer']:.3g} {record['unit']}",
            f"{record['ratio']:.2f}",
            f"≥ {record['aim']:g}" if record["aim"] else "–",
            f"{record['ratio_of_cpu_time']:.2f}" if "ratio_of_cpu_time" in record else "–",
            f"{record['machine']['load_before']:.1f}",
            record["what"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def fault_table(records):
    """Return a Markdown table with one row for each class of `faults.json`."""
    lines = [f"| class | {' | '.join(COUNTS)} |", "|---|" + "---:|" * len(COUNTS)]
    for record in records:
        lines.append(f"| {record['class']} | " + " | ".join(f"{record[name]:,}" for name in COUNTS) + " |")
    return "\n".join(lines) + "\n"


def replace(page, marks, text):
    """Write `text` between two marks (begin, end) of a page."""
    begin, end = marks
    content = re.sub(f"{begin}.*?{end}", lambda _: begin + text + end, page.read_text(), flags=re.DOTALL)
    with atomic(page) as temporary:
        temporary.write_text(content)


def main():
    """Write both tables between their marks in RESULTS.md."""
    records = [read_json(path) for path in sorted(RESULTS.glob("*.json"))]
    replace(PAGE, SPEED_MARKS, speed_table(record for record in records if "ratio" in record))
    replace(PAGE, FAULT_MARKS, fault_table(row for record in records for row in record.get("classes", [])))


if __name__ == "__main__":
    main()
