"""The one form in which this project says that data or settings are wrong."""

import difflib


def data_error(place, rule, *, expected, got, remedy):
    """`place: rule; expected …, got …; what to do` as a `ValueError` to raise."""
    return ValueError(f"{place}: {rule}; expected {expected}, got {got}; {remedy}")


def nearest(name, valid):
    """The valid name closest to `name`, as a hint for a message: `did you mean "SCR"?` or an empty string."""
    close = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1)
    return f'did you mean "{close[0]}"? ' if close else ""
