"""Look-ups: functions that find the files and settings of a job.

Their arguments are the same everywhere, unless a docstring says otherwise:

    rows: dict from the name of each table of config/ to its `Table` of completed rows, the result of `rows.read_rows`.
    config: the merged config, a dict.
    wildcards: the wildcards of the job, by name, such as `wildcards.corpus`.
    file: name of a file in a folder, such as `config.json`.

A function whose name ends in `_settings` returns keyword arguments of the stage, as a dict. Most others return a path or a list
of paths, relative to the folder of the project. `from_rows` in workflow/rules/common.smk turns a look-up into an input or params
function of Snakemake.
"""
