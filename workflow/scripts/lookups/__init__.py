"""Look-ups: the files and settings of a job, from the rows of config/, the config and the wildcards of the job.

Every look-up is a function of (rows, config, wildcards) and sometimes of a file name. `from_rows` in workflow/rules/common.smk
makes an input or params function of Snakemake of it.
"""
