"""An old key of the config is refused with an error that names the new one."""

import copy
import re
from pathlib import Path

import pytest

from workflow.scripts.config_files import check_config, default_config
from workflow.scripts.renamed_keys import new_name

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"


@pytest.mark.parametrize(
    "place, value, expected",
    [
        ("synthesize_commands.clip_seconds", 1.0, "synthesize_commands.clip.seconds"),
        ("concatenate_clips.num_parts", [2, 5], "concatenate_clips.clips_per_utterance"),
        ("concatenate_slots.pause_seconds", [0.1, 0.2], "concatenate_slots.pauses.seconds"),
        ("mix_speakers.gain_db", [-3, 3], "mix_speakers.mixing.gain_db"),
        ("make_manifest.allow_speaker_overlap", True, "allow_overlap=speaker in corpora.tsv"),
        ("make_manifest.allow_audio_overlap", True, "allow_overlap=audio in corpora.tsv"),
        ("measure_encoders.num_turns", 15, "measure_encoders.num_rounds"),
        ("probe_encoder.num_stretches", 3, "probe_encoder.num_segments"),
        ("convert_ulm.gslm.dim", 1024, "sizes.dim"),
        ("pretrain_ulm.small.adam_betas", [0.9, 0.98], "optimization.betas"),
        ("pretrain_ulm.small.under_prompt_fraction", 0.5, "pseudo_tasks.prompted_source_fraction"),
        ("pretrain_ulm.small.seed", 1, "seeds=1 in ulms.tsv"),
        ("tune_prompt.prompt5.prompt_kind", "deep", "prompt.kind"),
        ("tune_prompt.prompt5_target.updates_per_reading", 4, "data.reuse_batches"),
        ("superb_heads.utterance.adam_betas", [0.9, 0.999], "optimization.betas"),
        ("sample.greedy.num_copies", 8, "test_time_augmentation.num_variants"),
    ],
)
def test_the_error_for_an_old_key_names_the_new_one(place, value, expected):
    config = copy.deepcopy(default_config())
    *sections, key = place.split(".")
    settings = config
    for section in sections:
        settings = settings[section]
    settings[key] = value
    with pytest.raises(ValueError, match=rf"config\.{re.escape(place)}: .*expected '{re.escape(expected)}', got '{key}'"):
        check_config(config, SCHEMA, [])


def test_the_error_for_a_key_that_is_a_column_now_says_what_to_write_where():
    config = copy.deepcopy(default_config())
    config["make_manifest"]["allow_speaker_overlap"] = True
    remedy = "remove the key, and write speaker into the column allow_overlap of the rows in config/corpora.tsv that need it"
    with pytest.raises(ValueError, match=remedy):
        check_config(config, SCHEMA, [])


def test_a_key_in_a_block_of_its_section_is_shown_as_yaml():
    config = copy.deepcopy(default_config())
    config["mix_speakers"]["gain_db"] = [-3, 3]
    with pytest.raises(ValueError, match=r"in its place, write `mixing: \{gain_db: …\}`; if there is a block 'mixing' already"):
        check_config(config, SCHEMA, [])


@pytest.mark.parametrize(
    "place, expected",
    [
        ("encoders.melhubert_real_rows", "melhubert_mixed_rows"),
        ("codebooks.log_mel_real_500", "log_mel_mixed_500"),
        ("ulms.real_melhubert_500", "mixed_melhubert_500"),
        ("ulms.asc_melhubert_rows_500_2", "asc_melhubert_rows_500_seed2"),
        ("tasks.SCR_asc_rows_2", "SCR_asc_rows_seed2"),
        ("pretrain_ulm.real_short_2", "small_short"),
        ("encoders.melhubert_mixed", None),
    ],
)
def test_old_names_of_rows_and_presets(place, expected):
    assert new_name(place) == expected
