"""Former names of config keys, columns, presets, values and tasks, so that an error about one names its replacement."""

import re

from storage.errors import data_error

# Old place → new name. A place begins with a section of the config or the name of a table; `*` is any text, such as the name
# of a preset, and stands in a new name for the same text.
RENAMED = {
    "probe_encoder.num_stretches": "probe_encoder.num_segments",
    "fit_log_mel.level": "subtract_loudness",
    "fit_log_mel.*.level_removed": "subtract_loudness",
    "fit_log_mel.*.deviation_per_bin": "std_per_bin",
    "convert_encoder.*.level_removed": "subtract_loudness",
    "prune_weights.*.gate": "convergence",
    "tune_encoder.preinput10": "input_prompt10",
    "tune_encoder.prefix10": "deep_prompt10",
    "tune_encoder.prefix10_mean": "deep_prompt10_mean",
    "tune_encoder.prefix10_ones": "deep_prompt10_ones",
    "tune_encoder.superb_preinput10": "superb_input_prompt10",
    "tune_encoder.superb_prefix10": "superb_deep_prompt10",
    "tune_encoder.*.tuning.method.preinput": "input_prompt",
    "tune_encoder.*.tuning.method.prefix": "deep_prompt",
    "tune_encoder.*.tuning.method.houlsby": "adapter",
    "superb_tasks.*_preinput10": "*_input_prompt10",
    "superb_tasks.*_prefix10": "*_deep_prompt10",
}


def new_name(place):
    """Return the new name of what stood at `place`, or None if it was never renamed.

    Args:
        place: dotted path without the leading `config.`: of a key (`tune_prompt.prompt5.adam_betas`), a preset
            (`tune_encoder.prefix10`), a key and its value (`tune_encoder.full.tuning.method.houlsby`), or a table and its
            column (`ulms.preset`) or the name of its row (`superb_tasks.KS_asc_prefix10`).
    """
    for old, new in RENAMED.items():
        if match := re.fullmatch(re.escape(old).replace(r"\*", "(.*)"), place):
            return new.replace("*", match[1]) if "*" in new else new
    return None


def renamed_error(place, kind, old, new):
    """Return the error about the former name `old` of a `kind` (key, value, preset, task) at `place`."""
    return data_error(place, f"the {kind} has another name now", expected=f"'{new}'", got=f"'{old}'", remedy="rename it")
