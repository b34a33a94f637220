"""Sets that are compared: of tasks, SUPERB tasks or encoders. Each has a folder of its own, so that none overwrites another.

The folder is results/comparisons/{comparison}. `{comparison}` is a name in `comparisons` of the config, or the names of the tasks
joined by `+`, such as `SCR+MINE`.
"""

from storage.errors import data_error
from workflow.scripts.result_paths import JOINED_BY, configured_comparison

MAX_CHARACTERS = 200  # of joined names; file systems allow 255 bytes in the name of a folder


def compared_tasks(rows, config, comparison):
    """Return the names of the tasks of a comparison, see `Table.expand_names`."""
    return rows["tasks"].expand_names(config["comparisons"].get(comparison) or comparison.split(JOINED_BY))


def comparison_files(rows, config, wildcards, file):
    """Return a file of each task of a comparison."""
    return [f"results/{task}/{file}" for task in compared_tasks(rows, config, wildcards.comparison)]


def comparison_folder(config, key):
    """Return the name of the folder in results/comparisons/ of the names that `tasks`, `superb_tasks` or `encoders` of the config list.

    Raises:
        ValueError: if the names are too long for a folder and no name in `comparisons` has exactly these.
    """
    names = config[key]
    comparison = configured_comparison(config, key)
    if len(comparison) > MAX_CHARACTERS:
        raise data_error(
            f"config.{key}",
            f"a set whose names have more than {MAX_CHARACTERS} characters together must have a name of its own",
            expected=f"a name in 'comparisons' with exactly these {key}",
            got=f"{len(names)} {key}, {len(comparison)} characters",
            remedy=f"add to your config file: comparisons: {{NAME: [{', '.join(names[:2])}, …]}}",
        )
    return comparison
