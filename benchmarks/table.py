"""The table of benchmarks/README.md, from the JSON files in benchmarks/results."""

import re

from benchmarks.side_by_side import RESULTS
from speech2unit.files import atomic, read_json

README = RESULTS.parent / "README.md"
BEGIN, END = "<!-- table: make bench writes it -->\n", "<!-- end of table -->"


def table(records):
    """Markdown table of records as `side_by_side.write` makes them, a row each."""
    rows = [
        f"| `{r['name']}` | {r['ours']:.3g} {r['unit']} | {r['peer']:.3g} {r['unit']} | {r['ratio']:.2f} "
        f"| {'≥ ' + format(r['aim'], 'g') if r['aim'] else '–'} | {r['what']} |"
        for r in records
    ]
    return "\n".join(["| benchmark | ours | peer | ratio | aim | what |", "|---|---|---|---|---|---|", *rows]) + "\n"


def replace(page, begin, end, text):
    """Put `text` between two marks of a page."""
    found = re.sub(f"{begin}.*?{end}", lambda _: begin + text + end, page.read_text(), flags=re.DOTALL)
    with atomic(page) as temporary:
        temporary.write_text(found)


def main():
    """Put the table between its marks in the README."""
    replace(README, BEGIN, END, table(read_json(path) for path in sorted(RESULTS.glob("*.json"))))


if __name__ == "__main__":
    main()
