"""Finished projects that faults are put into."""

import pytest

from tests.workflow.faults.rules import OUTPUTS, TARGETS, put_by_hand
from tests.workflow.faults.runs import restore


@pytest.fixture(scope="session")
def finished(project):
    """The finished project, with what the summary does not need."""
    project.snakemake("--cores", 2, "--", *TARGETS)
    return project


@pytest.fixture(scope="session")
def all_finished(finished, new_project):
    """A copy of it in which every rule has run."""
    made = new_project("every rule")
    restore(made, finished)
    put_by_hand(made)
    made.snakemake("--cores", 2, "--", *(name for names in OUTPUTS.values() for name in names))
    return made
