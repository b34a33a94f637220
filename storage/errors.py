"""The single format of error messages, and hints at the nearest valid name."""

import difflib
import sys

MAX_NAMES_SHOWN = 8
MIN_SIMILARITY = 0.6  # ratio of difflib, the default of its get_close_matches


def data_error(place, rule, *, expected, got, remedy):
    """Return a `ValueError` to raise, with the message `place: rule; expected …, got …; remedy`.

    Args:
        place: the file, table cell or setting that is wrong.
        rule: the rule that it breaks, as a sentence.
        expected: what would be right.
        got: what is there instead.
        remedy: what the user can type or change.
    """
    return ValueError(f"{place}: {rule}; expected {expected}, got {got}; {remedy}")


def notice(text):
    """Print `text`, in a stage to its log. If standard output is redirected, as it is there, print it to the terminal as well."""
    print(text)
    if sys.stdout is not sys.__stdout__:
        print(text, file=sys.__stderr__)


def nearest(name, valid):
    """Return a hint for a message, such as `did you mean "SCR"? `, or an empty text.

    Args:
        name: the wrong name.
        valid: the valid names. If none of them is similar to `name`, the hint is empty.
    """
    closest = _closest(name, valid)
    return f'did you mean "{closest}"? ' if closest else ""


def one_of(name, valid):
    """Return the valid names as text: `one of ['SCR', 'SCR_asc', … 43 more]`.

    Args:
        name: the wrong name.
        valid: the valid names. Those most similar to `name` come first.
    """
    closest = _closest(name, valid)
    names = sorted(map(str, valid))
    names.sort(key=lambda candidate: (candidate == closest, _similarity(candidate, name)), reverse=True)
    more = f", … {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return f"one of [{', '.join(map(repr, names[:MAX_NAMES_SHOWN]))}{more}]"


def listed(names):
    """Return the first names as text: `a, b, c and 43 more`."""
    num_more = len(names) - MAX_NAMES_SHOWN
    return ", ".join(names[:MAX_NAMES_SHOWN]) + (f" and {num_more} more" if num_more > 0 else "")


def _closest(name, valid):
    """Return the valid name most similar to `name`, or None if none is similar. Capitals do not matter."""
    similarity, closest = max(((_similarity(candidate, name), str(candidate)) for candidate in valid), default=(0, None))
    return closest if similarity >= MIN_SIMILARITY else None


def _similarity(first, second):
    """Return the ratio of equal characters, from 0 to 1, without regard to capitals."""
    return difflib.SequenceMatcher(None, str(first).casefold(), str(second).casefold()).ratio()
