import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")
ROOT = Path(workflow.current_basedir).parents[1]
sys.path.insert(0, str(ROOT))

from workflow.scripts.comparisons import compared_encoders, encoder_codebook, encoder_tasks, confounders
from workflow.scripts.config_files import check_config
from workflow.scripts.result_paths import unknown_name, unknown_paths
from workflow.scripts.rows import read_rows
from workflow.scripts.stage_code import stage
from workflow.scripts.superb_settings import training_settings

try:
    check_config(config, ROOT / "workflow/schemas/config.schema.yaml", workflow.configfiles)
    ROWS = read_rows(config, ROOT / "workflow/schemas")
except ValueError as error:  # as a WorkflowError it is shown without the stack
    raise WorkflowError(str(error)) from None
TASKS = ROWS["tasks"].expand_names(config["tasks"])
SUPERB_TASKS = ROWS["superb_tasks"].expand_names(config["superb_tasks"])
FEATURES_FILE = "results/features/{encoder}/layer{layer}/{corpus}/{shard}.parquet"
CHECKPOINT_FILE = f"{config['paths']['checkpoints']}/{{checkpoint}}/{{file}}"
FEATURES_FILE = FEATURES_FILE if config["keep_features"] else temp(FEATURES_FILE)
SHARDS = [f"{i}-of-{config['num_shards']}" for i in range(1, config["num_shards"] + 1)]


def names(table, **cells):
    """Wildcard constraint: the names of a table's rows, or of those whose cells have these values."""
    found = [n for n, row in ROWS[table].items() if all(row[c] == v for c, v in cells.items())]
    return "|".join(map(re.escape, found)) or "none"


AUDIO_CORPORA = names("corpora", codebook="")
UNIT_CORPORA = names("corpora", adapter="units")


wildcard_constraints:
    checkpoint=names("checkpoints"),
    corpus=names("corpora"),
    encoder=names("encoders"),
    codebook=names("codebooks"),
    ulm=names("ulms"),
    task=names("tasks"),
    superb_task=names("superb_tasks"),
    layer=r"\d+",
    shard=r"\d+-of-\d+",
