"""The rules of the workflow as text, for tests and for generated documents."""

import re

_RULE = re.compile(r"^(?:use rule (\w+) as (\w+) with|rule (\w+)):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^    (\w+):.*?(?=^    \w|\Z)", re.MULTILINE | re.DOTALL)


def rule_bodies(*files):
    """Return a dict from the name of each rule in Snakemake files to the text of its body.

    The body of `use rule old as new with:` has the sections of `new`, and those sections of `old` that `new` does not have.

    Args:
        files: paths of Snakefiles. A rule must come after the rule that it copies.
    """
    bodies = {}
    for file in files:
        for match in _RULE.finditer(file.read_text()):
            copied_rule, new_name, name, body = match.groups()
            if copied_rule:
                body = "".join((_sections(bodies[copied_rule]) | _sections(body)).values())
            bodies[name or new_name] = body
    return bodies


def _sections(body):
    """Return a dict from the name of each section in the body of a rule to its lines."""
    return {match[1]: match[0].rstrip() + "\n" for match in _SECTION.finditer(body)}
