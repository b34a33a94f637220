from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import is_flagged, strip_wildcard_constraints
from snakemake.logging import logger

from workflow.scripts.closing_errors import MissingRuleFilter, repeat_at_exit
from workflow.scripts.config_files import add_defaults, check_config
from workflow.scripts.lookups.comparisons import comparison_folder
from workflow.scripts.lookups.corpora import corpus_source
from workflow.scripts.result_paths import MOVED, comparison_pattern, unknown_file, unknown_name, unknown_paths, wildcard_pattern
from workflow.scripts.rows import read_rows
from workflow.scripts.stage_code import ignore_time_of_stage_script, stage

ignore_time_of_stage_script()
try:
    if workflow.modifier.skip_configfile:  # this is a module with a config of its own, and Snakemake reads no `configfile:`
        add_defaults(config, ROOT)
    check_config(config, ROOT / "workflow/schemas/config.schema.yaml", workflow.configfiles)
    ROWS = read_rows(config, ROOT / "workflow/schemas")
    # Folders in results/comparisons/ of the SUPERB tasks and the encoders that the config lists.
    superb_set = comparison_folder(config, "superb_tasks")
    encoder_set = comparison_folder(config, "encoders")
except ValueError as error:  # as a WorkflowError it is shown without the stack
    raise WorkflowError(str(error)) from None

# The tasks that `superb_tasks` of the config lists.
SUPERB_TASKS = ROWS["superb_tasks"].expand_names(config["superb_tasks"])

FEATURES_FILE = "results/features/{encoder}/layer{layer}/{corpus}/{shard}.parquet"
CHECKPOINT_FILE = f"{config['paths']['checkpoints']}/{{checkpoint}}/{{file}}"
FEATURES_FILE = FEATURES_FILE if config["features"] == "kept" else temp(FEATURES_FILE)


def from_rows(look_up, *arguments):
    """Turn a look-up into an input or params function, which calls `look_up(ROWS, config, wildcards, *arguments)`."""

    def look_up_for(wildcards):
        try:
            return look_up(ROWS, config, wildcards, *arguments)
        except ValueError as error:  # a WorkflowError is shown without the stack
            raise WorkflowError(str(error)) from None

    return look_up_for


def external_files(look_up, *arguments):
    """Turn a look-up into an input function. This is for files that no rule makes, or that are not in the storage for results.

    A path with an address (s3://…) is read from there, any other path from the local disk.
    """

    def paths(wildcards):
        files = from_rows(look_up, *arguments)(wildcards)
        return [storage(path) if "://" in path else local(path) for path in files]

    return paths


def find_corpus_source(wildcards):
    """Input function: what the manifest of a corpus is made from, if a rule makes it; see `corpus_source`.

    It calls `external_files` late, because only then is it known whether this is a dry run.
    """
    return external_files(corpus_source, workflow.dryrun)(wildcards)


def output_patterns(wildcards):
    """Params function: for each output file, see `storage.verify.Maker`."""
    return [
        (file.regex().pattern, strip_wildcard_constraints(str(file)), rule.name, is_flagged(file, "temp"))
        for rule in workflow.rules
        for file in rule.output
    ]


def find_missing_outputs(wildcards):
    """Input function: outputs that results were made from and that an interrupted run has deleted."""
    from storage.verify import missing_outputs  # here, because few runs need it

    return missing_outputs("results", output_patterns(wildcards))


def refuse_unknown_name(wildcards):
    """Input function of a path in results/ that no rule makes.

    It raises an error that names the unknown row. Snakemake's own error would only have the path.
    """
    if wildcards.unknown in MOVED or not Path("results", wildcards.unknown).exists():
        raise WorkflowError(str(unknown_name(wildcards.unknown, ROWS, config)))
    return []


def explain_missing_rule(path):
    """Return the error about a file that no rule makes, or None if the file is not in results/."""
    outputs = [str(file) for rule in workflow.rules for file in rule.output]
    return unknown_file(path, outputs) if path.startswith("results/") else None


logger.addFilter(MissingRuleFilter(explain_missing_rule))


AUDIO_CORPORA = wildcard_pattern(ROWS["corpora"], codebook="")
WHOLE_CORPORA = wildcard_pattern(ROWS["corpora"], codebook="", fold="")
FOLD_CORPORA = wildcard_pattern({name: row for name, row in ROWS["corpora"].items() if row["fold"]})
FOLDED_TASKS = wildcard_pattern({name: row for name, row in ROWS["tasks"].items() if row["fold_tasks"]})
# Tasks on unit LMs in the format of transformers.
TRANSFORMERS_TASKS = wildcard_pattern(
    {name: row for name, row in ROWS["tasks"].items() if ROWS["ulms"][row["ulm"]]["from_transformers"]}, fold_tasks=[]
)
UNIT_CORPORA = wildcard_pattern(ROWS["corpora"], adapter="units")


wildcard_constraints:
    comparison=comparison_pattern(ROWS, config),
    checkpoint=wildcard_pattern(ROWS["checkpoints"]),
    corpus=wildcard_pattern(ROWS["corpora"]),
    encoder=wildcard_pattern(ROWS["encoders"]),
    codebook=wildcard_pattern(ROWS["codebooks"]),
    ulm=wildcard_pattern(ROWS["ulms"]),
    task=wildcard_pattern(ROWS["tasks"], fold_tasks=[]),
    superb_task=wildcard_pattern(ROWS["superb_tasks"]),
    layer=r"\d+",
    shard=r"\d+-of-\d+",
