"""Read the comments of a YAML file next to its keys, so that documents can show what a setting means."""

import re

import yaml

MERGE = "tag:yaml.org,2002:merge"  # the tag of the key `<<`
_TRAILING = re.compile(r"""^(?:[^'"#]|"(?:\\.|[^"\\])*"|'[^']*'|(?<!\s)#)*?\s#\s?(?P<comment>.*)$""")
_ONLY = re.compile(r"^(?P<indent>\s*)#\s?(?P<comment>.*)$")


class Commented:
    """A YAML file with its comments.

    Args:
        text: content of the file; its top level is a mapping.

    Attributes:
        root: the YAML node of the mapping, as `yaml.compose` returns it.
        values: the content as `yaml.safe_load` returns it.
    """

    def __init__(self, text):
        self.lines = text.split("\n")
        self.root = yaml.compose(text, Loader=yaml.SafeLoader)
        self.values = yaml.safe_load(text)

    def comment(self, key):
        """Return the comment of a key: the comment lines above it, the comment after it, and lines that continue the latter.

        Args:
            key: a scalar node of a mapping of this file.
        """
        line, column = key.start_mark.line, key.start_mark.column
        if self.lines[line][:column].strip():
            return ""  # a key within `{…}`: the comment belongs to the whole line
        trailing = _TRAILING.match(self.lines[line])
        parts = self._above(line, column)
        if trailing:
            parts += [trailing["comment"], *self._continued(line)]
        return " ".join(part.strip() for part in parts if part.strip())

    def _above(self, line, column):
        found = []
        while line > 0 and (match := _ONLY.match(self.lines[line - 1])) and len(match["indent"]) == column:
            found.insert(0, match["comment"])
            line -= 1
        return found

    def _continued(self, line):
        """Comment lines below a comment that ends a line, as long as they are indented more than the next key."""
        below = []
        while line + 1 < len(self.lines) and (match := _ONLY.match(self.lines[line + 1])):
            below.append(match)
            line += 1
        next_key = self.lines[line + 1] if line + 1 < len(self.lines) else ""
        indent = len(next_key) - len(next_key.lstrip())
        return [match["comment"] for match in below if len(match["indent"]) > indent]


def pairs(node):
    """Yield (key node, value node) of a mapping node, without merged mappings (`<<`)."""
    for key, value in node.value:
        if key.tag != MERGE:
            yield key, value


def merged(node):
    """Return the mapping node that `<<` merges into a mapping node, or None."""
    return next((value for key, value in node.value if key.tag == MERGE), None)
