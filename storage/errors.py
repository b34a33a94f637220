"""The one form in which this project says that data or settings are wrong."""

import difflib
import sys

SHOWN = 8  # names of a list of valid ones
SIMILAR = 0.6  # of difflib's ratio, as its get_close_matches has it


def data_error(place, rule, *, expected, got, remedy):
    """`place: rule; expected …, got …; what to do` as a `ValueError` to raise."""
    return ValueError(f"{place}: {rule}; expected {expected}, got {got}; {remedy}")


def notice(text):
    """Tell the user, who sees Snakemake's output and not the stage's log; the log has it too."""
    print(text)
    if sys.stdout is not sys.__stdout__:
        print(text, file=sys.__stderr__)


def nearest(name, valid):
    """The valid name closest to `name`, as a hint for a message: `did you mean "SCR"?` or an empty string."""
    close = _closest(name, valid)
    return f'did you mean "{close[0]}"? ' if close else ""


def one_of(name, valid):
    """`one of ['SCR', 'SCR_asc', … 43 more]`: the valid names, the closest to `name` first, cut where they are many."""
    names, first = sorted(map(str, valid)), _closest(name, valid)
    names.sort(key=lambda each: ([each] == first, _likeness(each, name)), reverse=True)
    more = f", … {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"one of [{', '.join(map(repr, names[:SHOWN]))}{more}]"


def _closest(name, valid):
    """A list of the most similar name, or of none, whatever is written in capitals."""
    likeness, close = max(((_likeness(each, name), str(each)) for each in valid), default=(0, ""))
    return [close] if likeness >= SIMILAR else []


def _likeness(one, other):
    return difflib.SequenceMatcher(None, str(one).casefold(), str(other).casefold()).ratio()
