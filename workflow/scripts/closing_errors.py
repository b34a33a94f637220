"""Errors at the end of a run: those of failed stages, below what Snakemake prints after them, and an unknown file in plain words."""

import atexit
import logging
import re
import sys
from pathlib import Path

ERROR_MARK = "error: "  # the last message in the log of a failed stage begins with it
MAX_ERRORS = 5
_LOG_OF_A_FAILED_JOB = re.compile(r"^ +log: (\S.*?) \(check log file\(s\) for error details\)$", re.MULTILINE)
_NO_RULE = re.compile(r"No rule to produce (\S+) \(if you use input functions .*", re.DOTALL)


class MissingRuleFilter(logging.Filter):
    """Filter for Snakemake's logger, which says more about a file that no rule makes than its path.

    Args:
        explain: function from the path to the text to print, or to None if Snakemake's own text remains.
    """

    def __init__(self, explain):
        super().__init__()
        self.explain = explain

    def filter(self, record):
        """Replace the text of a record; return True, so that it is printed."""
        found = _NO_RULE.search(str(record.msg))
        text = found and self.explain(found[1])
        if text:
            record.msg = f"{record.msg[: found.start()]}{text}"
        return True


def stage_errors(snakemake_logs):
    """Return the error of each failed job as pairs (path of the job's log, message).

    A job that ended without a message, such as one that was killed, has the last line of its log.

    Args:
        snakemake_logs: paths of Snakemake's own logs of the run, which name the logs of failed jobs.
    """
    texts = [Path(path).read_text(errors="replace") for path in snakemake_logs]
    paths = dict.fromkeys(path for text in texts for path in _LOG_OF_A_FAILED_JOB.findall(text))
    errors = []
    for path in filter(Path.is_file, map(Path, paths)):
        text = path.read_text(errors="replace").rstrip()
        _, mark, message = text.rpartition(f"\n{ERROR_MARK}")
        errors.append((path, message if mark else text.rpartition("\n")[2] or "the job ended without a message"))
    return errors


def repeat_at_exit(snakemake_logs):
    """Print the errors of failed stages on standard error when this process ends. For the argument see `stage_errors`."""
    errors = stage_errors(snakemake_logs)
    if errors:
        atexit.register(_print, errors)


def _print(errors):
    more = f", of which these are the first {MAX_ERRORS}" if len(errors) > MAX_ERRORS else ""
    print(f"\n{len(errors)} {'jobs' if len(errors) > 1 else 'job'} failed{more}:", file=sys.stderr)
    for path, message in errors[:MAX_ERRORS]:
        print(f"\n{message}\n(log: {path})", file=sys.stderr)
