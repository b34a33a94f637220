"""Style and saving of the HTML tables in the report."""

from storage.files import atomic

CSS = """body {font-family: sans-serif; margin: 1em} table {border-collapse: collapse; font-size: 14px}
th, td {padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd} thead th {background: #f2f2f2}
td:first-child, th:first-child {text-align: left; font-weight: bold}"""


def save_page(frame, title, path):
    """Write a data frame as an HTML page, atomically.

    Args:
        frame: data frame to show as a table.
        title: title of the page.
        path: HTML file to write.
    """
    table = frame.to_html(index=False, border=0)
    with atomic(path) as temporary:
        temporary.write_text(f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{CSS}</style>{table}\n')
