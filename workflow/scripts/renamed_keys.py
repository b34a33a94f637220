"""Former names of config keys, columns, presets, values and tasks, so that an error about one names its replacement."""

import functools
import re

from storage.errors import data_error

# Old place → new name. A place begins with a section of the config or the name of a table. In a place, `*` stands for any text,
# such as the name of a preset; in a new name, it stands for the same text. `column=value in table` has become a column of rows.
RENAMED = {
    "keep_features": "features",
    "synthesize_commands.sample_rate": "synthesize_commands.clip.sample_rate",
    "synthesize_commands.clip_seconds": "synthesize_commands.clip.seconds",
    "synthesize_commands.snr_db": "synthesize_commands.clip.snr_db",
    "synthesize_commands.peak_db": "synthesize_commands.clip.peak_db",
    "synthesize_commands.rate": "synthesize_commands.prosody.rate",
    "synthesize_commands.pitch": "synthesize_commands.prosody.pitch",
    "synthesize_commands.pitch_range": "synthesize_commands.prosody.pitch_range",
    "synthesize_commands.jitter": "synthesize_commands.prosody.jitter",
    "concatenate_clips.num_clips": "concatenate_clips.num_utterances",
    "concatenate_clips.num_parts": "concatenate_clips.clips_per_utterance",
    "concatenate_clips.pause_seconds": "concatenate_clips.pauses.seconds",
    "concatenate_clips.pause_snr_db": "concatenate_clips.pauses.snr_db",
    "concatenate_slots.num_clips": "concatenate_slots.num_utterances",
    "concatenate_slots.num_parts": "concatenate_slots.clips_per_corpus",
    "concatenate_slots.pause_seconds": "concatenate_slots.pauses.seconds",
    "concatenate_slots.pause_snr_db": "concatenate_slots.pauses.snr_db",
    "mix_speakers.num_parts": "mix_speakers.clips_per_speaker",
    "mix_speakers.pause_seconds": "mix_speakers.pauses.seconds",
    "mix_speakers.pause_snr_db": "mix_speakers.pauses.snr_db",
    "mix_speakers.delay_seconds": "mix_speakers.mixing.delay_seconds",
    "mix_speakers.gain_db": "mix_speakers.mixing.gain_db",
    "mix_speakers.range_db": "mix_speakers.activity.range_db",
    "mix_speakers.max_gap_seconds": "mix_speakers.activity.max_gap_seconds",
    "make_manifest.allow_speaker_overlap": "allow_overlap=speaker in corpora.tsv",
    "make_manifest.allow_audio_overlap": "allow_overlap=audio in corpora.tsv",
    "measure_encoders.num_turns": "measure_encoders.num_rounds",
    "probe_encoder.num_stretches": "probe_encoder.num_segments",
    "fit_log_mel.level": "subtract_loudness",
    "fit_log_mel.*.level_removed": "subtract_loudness",
    "fit_log_mel.*.deviation_per_bin": "std_per_bin",
    "convert_encoder.*.level_removed": "subtract_loudness",
    "pretrain_melhubert.*.frame_ms": "sizes.frame_ms",
    "pretrain_melhubert.*.num_layers": "sizes.num_layers",
    "pretrain_melhubert.*.dim": "sizes.dim",
    "pretrain_melhubert.*.ffn_dim": "sizes.ffn_dim",
    "pretrain_melhubert.*.num_heads": "sizes.num_heads",
    "pretrain_melhubert.*.conv_kernel": "sizes.conv_kernel",
    "pretrain_melhubert.*.conv_groups": "sizes.conv_groups",
    "pretrain_melhubert.*.augmentation": "data.augmentation",
    "pretrain_melhubert.*.mask_probability": "data.mask.probability",
    "pretrain_melhubert.*.mask_span_frames": "data.mask.span",
    "pretrain_melhubert.*.min_mask_spans": "data.mask.min_spans",
    "pretrain_melhubert.*.unmasked_weight": "data.unmasked_weight",
    "pretrain_melhubert.*.min_frames": "data.min_frames",
    "pretrain_melhubert.*.max_crop_frames": "data.max_crop_frames",
    "pretrain_melhubert.*.batch_frames": "data.batch_frames",
    "pretrain_melhubert.*.dev_fraction": "data.dev_fraction",
    "pretrain_melhubert.*.batches_per_update": "optimization.batches_per_update",
    "pretrain_melhubert.*.learning_rate": "optimization.learning_rate",
    "pretrain_melhubert.*.decay": "optimization.decay",
    "pretrain_melhubert.*.warmup_updates": "optimization.warmup_updates",
    "pretrain_melhubert.*.clip_norm": "optimization.clip_norm",
    "pretrain_melhubert.*.adam_betas": "optimization.betas",
    "pretrain_melhubert.*.weight_decay": "optimization.weight_decay",
    "pretrain_melhubert.*.evaluate_every": "optimization.evaluate_every",
    "distil_layers.*.num_layers": "sizes.num_layers",
    "distil_layers.*.num_repeats": "sizes.num_repeats",
    "distil_layers.*.max_crop_frames": "data.max_crop_frames",
    "distil_layers.*.batch_frames": "data.batch_frames",
    "distil_layers.*.dev_fraction": "data.dev_fraction",
    "distil_layers.*.batches_per_update": "optimization.batches_per_update",
    "distil_layers.*.learning_rate": "optimization.learning_rate",
    "distil_layers.*.warmup_updates": "optimization.warmup_updates",
    "distil_layers.*.clip_norm": "optimization.clip_norm",
    "distil_layers.*.adam_betas": "optimization.betas",
    "distil_layers.*.weight_decay": "optimization.weight_decay",
    "distil_layers.*.evaluate_every": "optimization.evaluate_every",
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
    "superb_heads.*.batches_per_update": "optimization.batches_per_update",
    "superb_heads.*.learning_rate": "optimization.learning_rate",
    "superb_heads.*.warmup_updates": "optimization.warmup_updates",
    "superb_heads.*.clip_norm": "optimization.clip_norm",
    "superb_heads.*.adam_betas": "optimization.betas",
    "superb_heads.*.weight_decay": "optimization.weight_decay",
    "superb_heads.*.evaluate_every": "optimization.evaluate_every",
    "superb_tasks.*_preinput10": "*_input_prompt10",
    "superb_tasks.*_prefix10": "*_deep_prompt10",
    "encoders.log_mel_real*": "log_mel_mixed*",
    "encoders.melhubert_real*": "melhubert_mixed*",
    "encoders.distilalhubert_real*": "distilalhubert_mixed*",
    "codebooks.log_mel_real*": "log_mel_mixed*",
    "codebooks.melhubert_real*": "melhubert_mixed*",
    "codebooks.distilalhubert_real*": "distilalhubert_mixed*",
    "ulms.real_*": "mixed_*",
    "ulms.asc_*_500_2": "asc_*_500_seed2",
    "tasks.SCR_asc_*_2": "SCR_asc_*_seed2",
    "pretrain_ulm.real": "small_long",
    "pretrain_ulm.real_short": "small_short",
    "pretrain_ulm.real_short_2": "small_short",
    "pretrain_ulm.real_under_prompt": "small_prompted_source",
    "pretrain_ulm.*.seed": "seeds=1 in ulms.tsv",
    "convert_ulm.*.num_layers": "sizes.num_layers",
    "convert_ulm.*.dim": "sizes.dim",
    "convert_ulm.*.ffn_dim": "sizes.ffn_dim",
    "convert_ulm.*.num_heads": "sizes.num_heads",
    "pretrain_ulm.*.num_layers": "sizes.num_layers",
    "pretrain_ulm.*.dim": "sizes.dim",
    "pretrain_ulm.*.ffn_dim": "sizes.ffn_dim",
    "pretrain_ulm.*.num_heads": "sizes.num_heads",
    "pretrain_ulm.*.num_pseudo_tasks": "pseudo_tasks.num_tasks",
    "pretrain_ulm.*.pseudo_tasks_a_row": "pseudo_tasks.tasks_per_row",
    "pretrain_ulm.*.under_prompt_fraction": "pseudo_tasks.prompted_source_fraction",
    "pretrain_ulm.*.pseudo_prompt_length": "pseudo_tasks.prompt_length",
    "pretrain_ulm.*.pseudo_task_weight": "pseudo_tasks.weight",
    "pretrain_ulm.*.pseudo_prompt_rate_factor": "pseudo_tasks.prompt_rate_factor",
    "pretrain_ulm.*.augmentation": "data.augmentation",
    "pretrain_ulm.*.max_tokens": "data.max_tokens",
    "pretrain_ulm.*.batches_per_update": "optimization.batches_per_update",
    "pretrain_ulm.*.learning_rate": "optimization.learning_rate",
    "pretrain_ulm.*.warmup_updates": "optimization.warmup_updates",
    "pretrain_ulm.*.clip_norm": "optimization.clip_norm",
    "pretrain_ulm.*.adam_betas": "optimization.betas",
    "pretrain_ulm.*.weight_decay": "optimization.weight_decay",
    "pretrain_ulm.*.evaluate_every": "optimization.evaluate_every",
    "tune_prompt.*.prompt_kind": "prompt.kind",
    "tune_prompt.*.prompt_length": "prompt.length",
    "tune_prompt.*.prompt_dropout": "prompt.dropout",
    "tune_prompt.*.scope": "prompt.scope",
    "tune_prompt.*.initialization": "prompt.initialization",
    "tune_prompt.*.separator_rate_factor": "prompt.separator_rate_factor",
    "tune_prompt.*.augmentation": "data.augmentation",
    "tune_prompt.*.balanced": "data.balanced",
    "tune_prompt.*.max_tokens": "data.max_tokens",
    "tune_prompt.*.updates_per_reading": "data.reuse_batches",
    "tune_prompt.*.batches_per_update": "optimization.batches_per_update",
    "tune_prompt.*.learning_rate": "optimization.learning_rate",
    "tune_prompt.*.warmup_updates": "optimization.warmup_updates",
    "tune_prompt.*.clip_norm": "optimization.clip_norm",
    "tune_prompt.*.adam_betas": "optimization.betas",
    "tune_prompt.*.weight_decay": "optimization.weight_decay",
    "tune_prompt.*.evaluate_every": "optimization.evaluate_every",
    "sample.*.num_copies": "test_time_augmentation.num_variants",
    "sample.*.augmentation": "test_time_augmentation.augmentation",
}


def new_name(place):
    """Return the new name of the key, preset, value or row at `place`, or None if it was never renamed.

    Args:
        place: dotted path without the leading `config.`. It names a key (`tune_prompt.prompt5.adam_betas`), a preset
            (`tune_encoder.prefix10`), a value (`tune_encoder.full.tuning.method.houlsby`), a column of a table (`ulms.preset`) or
            a row of a table (`superb_tasks.KS_asc_prefix10`).
    """
    for pattern, new in _patterns(place.partition(".")[0]):
        if match := pattern.fullmatch(place):
            return new.replace("*", match[1]) if "*" in new else new
    return None


@functools.cache
def _patterns(section):
    """Return pairs (regular expression of an old place, new name) of the old places in a section or table."""
    names = [(old, new) for old, new in RENAMED.items() if old.partition(".")[0] == section]
    return [(re.compile(re.escape(old).replace(r"\*", "(.*)")), new) for old, new in names]


def renamed_error(place, kind, old, new):
    """Return the error about the former name `old` of a `kind` (key, value, preset, row) at `place`."""
    cell, _, table = new.partition(" in ")
    section = place.removeprefix("config.").partition(".")[0]
    blocks = new.removeprefix(f"{section}.").split(".")
    if table:
        column, _, value = cell.partition("=")
        remedy = f"remove the {kind}, and write {value} into the column {column} of the rows in config/{table} that need it"
    elif len(blocks) > 1:
        remedy = f"in its place, write `{_as_yaml(blocks)}`; if there is a block '{blocks[0]}' already, add to it what is in the braces"
    else:
        remedy = f"write '{blocks[0]}' instead"
    return data_error(place, f"the {kind} has been renamed", expected=f"'{new}'", got=f"'{old}'", remedy=remedy)


def _as_yaml(blocks):
    """Return nested blocks as YAML in one line: `["data", "mask", "span"]` → `data: {mask: {span: …}}`."""
    *outer, key = blocks
    text = f"{key}: …"
    for block in reversed(outer):
        text = f"{block}: {{{text}}}"
    return text
