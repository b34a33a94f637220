"""Sets of tasks that are compared. Each has a folder of its own, results/comparisons/{comparison}, so that none overwrites another.

`{comparison}` is a name in `comparisons` of the config, or the names of the tasks joined by `+`, such as `SCR+MINE`.
"""

from storage.errors import data_error
from workflow.scripts.result_paths import JOINED_BY

MAX_CHARACTERS = 200  # of joined names; file systems allow 255 bytes in the name of a folder


def compared_tasks(rows, config, comparison):
    """Return the names of the tasks of a comparison, see `Table.expand_names`."""
    return rows["tasks"].expand_names(config["comparisons"].get(comparison) or comparison.split(JOINED_BY))


def comparison_files(rows, config, wildcards, file):
    """Return a file of each task of a comparison."""
    return [f"results/{task}/{file}" for task in compared_tasks(rows, config, wildcards.comparison)]


def configured_comparison(config):
    """Return the comparison of the tasks that `tasks` of the config lists.

    Raises:
        ValueError: if their names are too long for a folder and no name in `comparisons` has these tasks.
    """
    for name, tasks in config["comparisons"].items():
        if tasks == config["tasks"]:
            return name
    joined = JOINED_BY.join(config["tasks"])
    if len(joined) > MAX_CHARACTERS:
        raise data_error(
            "config.tasks",
            f"tasks whose names have more than {MAX_CHARACTERS} characters together must have a name as a set",
            expected="a name in 'comparisons' with exactly these tasks",
            got=f"{len(config['tasks'])} tasks, {len(joined)} characters",
            remedy=f"add to your config file: comparisons: {{NAME: [{', '.join(config['tasks'][:2])}, …]}}",
        )
    return joined
