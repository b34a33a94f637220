"""HTML pages of the report: one file each, which needs no network and no scripts, in light and dark, on wide and narrow screens."""

from storage.files import atomic

CSS = """\
:root { color-scheme: light dark; --text: #1a1a1a; --quiet: #555; --page: #fff; --panel: #f4f5f7; --line: #d5d8dd;
  --train: #0072b2; --dev: #e69f00; --test: #009e73; --warn: #d55e00 }
@media (prefers-color-scheme: dark) { :root { --text: #ececec; --quiet: #b4b4b4; --page: #16181b; --panel: #202328; --line: #3b4048;
  --train: #56a8dd; --dev: #f0b840; --test: #2fc194; --warn: #ff8a3c } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem 1rem 3rem; max-width: 60rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--text);
  background: var(--page); overflow-wrap: break-word }
h1 { margin: .5rem 0 0; font-size: 1.7rem; line-height: 1.2 }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem }
h3 { margin: 1.2rem 0 .3rem; font-size: 1rem }
p, ul { margin: .4rem 0 }
header p, .more { color: var(--quiet) }
a { color: var(--train) }
:focus-visible { outline: 3px solid var(--train); outline-offset: 2px }
.wide { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { padding: .3rem 0; text-align: left; color: var(--quiet) }
th, td { padding: .3rem .6rem .3rem 0; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); font-weight: 400 }
thead th { font-weight: 700; white-space: nowrap }
th:first-child { text-align: left; overflow-wrap: anywhere; min-width: 5rem }
details { margin: .4rem 0 } summary { cursor: pointer; padding: .2rem 0 }
"""  # shared by all pages
TABLE_CSS = """\
.dataframe thead th { white-space: normal; vertical-align: bottom }
.dataframe td { padding-right: .9rem; white-space: nowrap }
.dataframe td:first-child { font-weight: 700; text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 8rem }
"""
LAYOUT = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
{{ css }}</style>
</head>
<body>
<header><h1>{{ title }}</h1></header>
<main>
{{ body }}
</main>
</body>
</html>
"""
TABLE = """<div class="wide" role="region" aria-label="{{ title }}" tabindex="0">{{ table }}</div>"""


def render(template, content):
    """Return the HTML of a Jinja template with the names in `content`, and with `css`, the styles that all pages share.

    Texts are escaped. A name that is missing is an error.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(template).render(dict(css=Markup(CSS)) | content)


def table_html(frame, title):
    """Return a data frame as HTML, in a part of the page that scrolls by itself; `title` names this part for screen readers."""
    from markupsafe import Markup

    return Markup(render(TABLE, dict(title=title, table=Markup(frame.to_html(index=False, border=0)))))


def save_page(body, title, path, css=""):
    """Write an HTML page, atomically.

    Args:
        body: HTML below the title.
        title: title of the page, as text.
        path: HTML file to write.
        css: further styles.
    """
    from markupsafe import Markup

    page = render(LAYOUT, dict(title=title, css=Markup(CSS + TABLE_CSS + css), body=Markup(body)))
    with atomic(path) as temporary:
        temporary.write_text(page)
