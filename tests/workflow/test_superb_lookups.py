"""Settings of a SUPERB task: its presets, and a sweep's factor in both learning rates."""

import copy

from workflow.scripts.config_files import default_config
from workflow.scripts.lookups.superb import training_settings

ROW = dict(kind="KS", head="utterance", tuning="lora8")


def test_settings_are_those_of_both_presets():
    config = default_config()
    head, tuning = config["superb_heads"]["utterance"], config["tune_encoder"]["lora8"]
    assert training_settings(ROW, config, 1.0) == head | tuning | dict(kind="KS")


def test_a_sweep_multiplies_both_learning_rates_and_leaves_the_presets_alone():
    config = default_config()
    before = copy.deepcopy(config)
    settings = training_settings(ROW, config, 0.3)
    assert settings["optimization"] == config["superb_heads"]["utterance"]["optimization"] | dict(learning_rate=0.3 * 0.002)
    assert settings["encoder_learning_rate"] == 0.3 * 0.002 and settings["num_updates"] == 200
    assert config == before
