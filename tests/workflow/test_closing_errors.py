"""The errors of failed stages, found through Snakemake's log and printed when the process ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from workflow.scripts.closing_errors import ERROR_MARK, MAX_ERRORS, stage_errors

ROOT = Path(__file__).parents[2]
FAILED = """Error in rule make_manifest:
    message: None
    log: {} (check log file(s) for error details)
Trying to restart job 0.
"""


@pytest.fixture
def failed(tmp_path):
    """A function texts → Snakemake's log of jobs that failed twice each, with these logs."""

    def make(*texts):
        paths = [tmp_path / f"logs of a rule/{number}.log" for number, _ in enumerate(texts)]
        paths[0].parent.mkdir()
        for path, text in zip(paths, texts):
            path.write_text(text)
        log = tmp_path / "snakemake.log"
        log.write_text("".join(FAILED.format(path) * 2 for path in paths))
        return log, paths

    return make


def test_the_last_message_counts_with_all_its_lines(failed):
    log, [path] = failed(f"2026 a.stage\n{ERROR_MARK}first\n2026 a.stage\n{ERROR_MARK}a.stage: rule:\n  a.wav\n; do this\n")
    assert stage_errors([log]) == [(path, "a.stage: rule:\n  a.wav\n; do this")]


def test_a_job_without_a_message_has_its_last_line(failed):
    log, [crashed, silent] = failed("Traceback\n  line 3\nKeyError: 'x'\n", "")
    assert stage_errors([log]) == [(crashed, "KeyError: 'x'"), (silent, "the job ended without a message")]


def test_a_log_that_is_gone_is_left_out(failed):
    log, [path, _] = failed("x", "y")
    path.unlink()
    assert [message for _, message in stage_errors([log])] == ["y"]


def test_they_are_printed_at_the_end(failed):
    log, paths = failed(*(f"\n{ERROR_MARK}wrong {number}" for number in range(MAX_ERRORS + 1)))
    code = "import sys; from workflow.scripts.closing_errors import repeat_at_exit; repeat_at_exit(sys.argv[1:]); print('end')"
    done = subprocess.run([sys.executable, "-c", code, log], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "end\n"
    assert done.stderr.startswith(f"\n{MAX_ERRORS + 1} jobs failed, of which these are the first {MAX_ERRORS}:\n\nwrong 0\n")
    assert done.stderr.endswith(f"wrong {MAX_ERRORS - 1}\n(log: {paths[MAX_ERRORS - 1]})\n")
