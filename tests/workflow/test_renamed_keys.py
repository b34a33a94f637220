"""An old key of the config is refused with an error that names the new one."""

import copy
import re
from pathlib import Path

import pytest

from workflow.scripts.config_files import check_config, default_config

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"


@pytest.mark.parametrize(
    "place, value, new_name",
    [
        ("synthesize_commands.clip_seconds", 1.0, "synthesize_commands.clip.seconds"),
        ("concatenate_clips.num_parts", [2, 5], "concatenate_clips.clips_per_utterance"),
        ("concatenate_slots.pause_seconds", [0.1, 0.2], "concatenate_slots.pauses.seconds"),
        ("mix_speakers.gain_db", [-3, 3], "mix_speakers.mixing.gain_db"),
        ("measure_encoders.num_turns", 15, "measure_encoders.num_rounds"),
        ("probe_encoder.num_stretches", 3, "probe_encoder.num_segments"),
        ("convert_ulm.gslm.dim", 1024, "sizes.dim"),
        ("pretrain_ulm.small.adam_betas", [0.9, 0.98], "optimization.betas"),
        ("pretrain_ulm.real.under_prompt_fraction", 0.5, "pseudo_tasks.prompted_source_fraction"),
        ("tune_prompt.prompt5.prompt_kind", "deep", "prompt.kind"),
        ("tune_prompt.prompt5_target.updates_per_reading", 4, "data.reuse_batches"),
        ("sample.greedy.num_copies", 8, "test_time_augmentation.num_variants"),
    ],
)
def test_the_error_for_an_old_key_names_the_new_one(place, value, new_name):
    config = copy.deepcopy(default_config())
    *sections, key = place.split(".")
    settings = config
    for section in sections:
        settings = settings[section]
    settings[key] = value
    with pytest.raises(ValueError, match=rf"config\.{re.escape(place)}: .*expected '{re.escape(new_name)}', got '{key}'"):
        check_config(config, SCHEMA, [])
