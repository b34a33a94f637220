"""Keys of the config, columns and preset names that have another name now, so that an error can name it."""

from fnmatch import fnmatch

# Old place → new name or place. Places begin with a section of the config or with the name of a table; `*` is any preset.
RENAMED = {
    "probe_encoder.num_stretches": "probe_encoder.num_segments",
    "fit_log_mel.level": "subtract_loudness",
    "fit_log_mel.*.level_removed": "subtract_loudness",
    "fit_log_mel.*.deviation_per_bin": "std_per_bin",
    "convert_encoder.*.level_removed": "subtract_loudness",
    "prune_weights.*.gate": "convergence",
}


def new_name(place):
    """Return what a key is called now, or None where it never had another name.

    Args:
        place: dotted path of the unknown key without the leading `config.`, such as `tune_prompt.prompt5.adam_betas`; a
            section and an unknown preset, such as `fit_log_mel.level`; or a table and its column, such as `ulms.preset`.
    """
    return next((name for pattern, name in RENAMED.items() if fnmatch(place, pattern)), None)
