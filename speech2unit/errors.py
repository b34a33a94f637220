"""The one form in which this project says that data or settings are wrong."""

import difflib

SHOWN = 8  # names of a list of valid ones


def data_error(place, rule, *, expected, got, remedy):
    """`place: rule; expected …, got …; what to do` as a `ValueError` to raise."""
    return ValueError(f"{place}: {rule}; expected {expected}, got {got}; {remedy}")


def nearest(name, valid):
    """The valid name closest to `name`, as a hint for a message: `did you mean "SCR"?` or an empty string."""
    close = _closest(name, valid)
    return f'did you mean "{close[0]}"? ' if close else ""


def one_of(name, valid):
    """`one of ['SCR', 'SCR_asc', … 43 more]`: the valid names, the closest to `name` first, cut where they are many."""
    names, first = sorted(map(str, valid)), _closest(name, valid)
    names.sort(key=lambda each: ([each] == first, difflib.SequenceMatcher(None, each, str(name)).ratio()), reverse=True)
    more = f", … {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"one of [{', '.join(map(repr, names[:SHOWN]))}{more}]"


def _closest(name, valid):
    return difflib.get_close_matches(str(name), [str(v) for v in valid], n=1)
