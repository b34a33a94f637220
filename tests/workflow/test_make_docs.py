"""Generated parts of the documents: comments read from YAML, tables made from schemas, nothing out of date."""

import pytest

from workflow.scripts import make_docs
from workflow.scripts.yaml_comments import Commented, merged, pairs

TEXT = """\
# About the file.

count: 3                # whole, of things
# above the key,
# on two lines
base: &base
  # first line
  rate: 0.1             # goes on
                        # below
  name: "a # b"         # quoted
  nested: {a: 1, b: 2}  # of both
other:
  <<: *base
  rate: 0.2
"""


@pytest.fixture(scope="module")
def commented():
    return Commented(TEXT)


def comments_of(commented, node):
    return {key.value: commented.comment(key) for key, _ in pairs(node)}


def test_comments_are_above_a_key_or_behind_it(commented):
    assert comments_of(commented, commented.root) == {
        "count": "whole, of things",
        "base": "above the key, on two lines",
        "other": "",
    }
    base = next(value for key, value in pairs(commented.root) if key.value == "base")
    assert comments_of(commented, base) == {"rate": "first line goes on below", "name": "quoted", "nested": "of both"}


def test_a_key_within_braces_has_no_comment_of_its_own(commented):
    base = next(value for key, value in pairs(commented.root) if key.value == "base")
    nested = next(value for key, value in pairs(base) if key.value == "nested")
    assert comments_of(commented, nested) == {"a": "", "b": ""}


def test_a_merged_mapping_is_the_anchored_node(commented):
    nodes = {key.value: value for key, value in pairs(commented.root)}
    assert merged(nodes["other"]) is nodes["base"] and merged(nodes["base"]) is None
    assert [key.value for key, _ in pairs(nodes["other"])] == ["rate"]


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"type": "integer", "minimum": 1}, "whole number ≥ 1"),
        ({"type": "number", "minimum": 0, "maximum": 1}, "number, 0 to 1"),
        ({"type": "number", "exclusiveMinimum": 0}, "number > 0"),
        ({"enum": ["deep", "input"]}, "`deep`, `input`"),
        ({"type": "boolean"}, "`true`, `false`"),
        ({"type": "array", "items": {"type": "integer", "minimum": 1}}, "list: whole number ≥ 1"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}, "2 values: number"),
    ],
)
def test_allowed_values_are_said_in_words(rule, words):
    assert make_docs._allowed(rule) == words


def test_a_cell_holds_no_html_and_no_border():
    assert make_docs._table(("key", "empty", "meaning"), [("`<s>`", "", "after <s>, a | b")]) == (
        "| key | meaning |\n| --- | --- |\n| `<s>` | after &lt;s>, a \\| b |\n"
    )


def test_every_table_has_a_file(schemas):
    paths = [path for path in make_docs.rule_outputs() if path.endswith(".parquet")]
    tables = {make_docs.table_of(path, schemas) for path in [*paths, *make_docs._feature_files()]}
    assert tables == set(schemas)


def test_generated_parts_are_up_to_date():
    stale = make_docs.stale_pages()
    assert not stale, f"{', '.join(stale)} are out of date; run: {make_docs.COMMAND}"
