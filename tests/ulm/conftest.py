"""A tiny unit LM with random weights, and the tables of a tiny task."""

import copy
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from snakemake.utils import update_config

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from ulm.augment_units import UnitAugmentation
from ulm.binarize import token_row
from ulm.build_vocabulary import build_vocabulary, index_of_unit
from ulm.model import UnitLM, UnitLMConfig
from ulm.prompt import DeepPrompt
from ulm.schemas import BINARIZED, VOCABULARY
from verbalizer.schemas import VERBALIZER
from workflow.scripts.config_files import default_config

CONFIG = Path(__file__).parents[2] / "config/config.yaml"
NUM_UNITS = 20
LABELS = dict(up=3, down=11, left=7)  # label → its unit
SMALL = dict(num_updates=6, optimization=dict(warmup_updates=1, evaluate_every=3), data=dict(max_tokens=400))
SMALL_LM = SMALL | dict(
    sizes=dict(num_layers=2, dim=16, ffn_dim=32, num_heads=4),
    pseudo_tasks=dict(num_tasks=4, tasks_per_row=2, prompted_source_fraction=0.5),
)
SMALL_PROMPT = SMALL | dict(prompt=dict(length=2))


@pytest.fixture
def lm():
    """A frozen `UnitLM` of 2 layers with random weights, in evaluation mode. Each test gets a new one."""
    return random_unit_lm()


@pytest.fixture(scope="session")
def random_lm():
    """The same unit LM for all examples of a hypothesis test, which must not change it."""
    return random_unit_lm()


@pytest.fixture
def prompt(lm):
    """A `DeepPrompt` of length 3 for `lm`."""
    torch.manual_seed(1)
    return DeepPrompt(lm.config, 3).eval()


def random_unit_lm():
    torch.manual_seed(0)
    model = UnitLM(UnitLMConfig(vocabulary_size=NUM_UNITS + 4, num_layers=2, dim=16, ffn_dim=32, num_heads=4))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def task(tmp_path_factory):
    """A folder with reduced units, vocabulary, label map and binarized rows. Each label has three units that are frequent."""
    folder, rng = tmp_path_factory.mktemp("task"), np.random.default_rng(0)
    rows = []
    for i in range(96):
        label = sorted(LABELS)[i % 3]
        frequent = (3 * sorted(LABELS).index(label) + np.arange(3)) % NUM_UNITS
        units = np.where(rng.random(14) < 0.6, rng.choice(frequent, 14), rng.integers(0, NUM_UNITS, 14))
        units = [int(u) for u in units[np.diff(units, prepend=-1) != 0]]
        split = "train" if i < 60 else "dev" if i < 78 else "test"
        rows.append(
            dict(utterance_id=f"u{i:03d}", split=split, codebook="c", units=units, durations=[1] * len(units), label=label)
        )
    units = [{name: row[name] for name in REDUCED_UNITS.names} for row in rows]
    tables.write(folder / "reduced_units.parquet", units, REDUCED_UNITS)
    paths = dict(reduced_units=[folder / "reduced_units.parquet"], vocabulary=folder / "vocabulary.parquet")
    build_vocabulary(**paths, codebook="c", num_units=NUM_UNITS)
    index_of = index_of_unit(tables.read(folder / "vocabulary.parquet", VOCABULARY))
    tables.write(folder / "binarized.parquet", [_binarized(i, row, index_of) for i, row in enumerate(rows)], BINARIZED)
    label_map = [dict(label=label, units=[unit], label_count=20, unit_count=9) for label, unit in LABELS.items()]
    tables.write(folder / "verbalizer.parquet", label_map, VERBALIZER)
    return folder


def _binarized(i, row, index_of):
    tokens = token_row(row["units"], [LABELS[row["label"]]], index_of)
    same = dict(utterance_id=row["utterance_id"], split=row["split"], labels=[row["label"]])
    return same | dict(row=i, tokens=tokens, num_source=len(row["units"]))


@pytest.fixture(scope="session")
def worded_units():
    """The function seed → units of 40 utterances. Each has eight of six words, which consist of units 0 … 9."""
    return utterances


def utterances(seed=0):
    rng = np.random.default_rng(seed)
    words = [rng.integers(10, size=rng.integers(2, 5)) for _ in range(6)]
    return [np.concatenate([words[i] for i in rng.integers(6, size=8)]).tolist() for _ in range(40)]


@pytest.fixture(scope="session")
def run_stage():
    """The function `call`, which runs a stage."""
    return call


@pytest.fixture(scope="session")
def tuning_settings():
    """A function that returns settings of `tune_prompt` for a few updates, with changes merged into them."""
    return lambda **changes: settings("tune_prompt", "prompt5_target", SMALL_PROMPT, changes) | dict(learn_verbalizer=False)


@pytest.fixture(scope="session")
def pretraining_settings():
    """A function that returns settings of `pretrain_ulm` for a tiny model and a few updates, with changes merged into them."""
    return lambda **changes: settings("pretrain_ulm", "small", SMALL_LM, dict(seed=1), changes)


def settings(section, preset, *changes):
    """Return a preset of the config with changes merged into it, which are nested as the preset is."""
    merged = copy.deepcopy(default_config()[section][preset])
    for change in changes:
        update_config(merged, change)
    return merged


def call(stage, folder, task, **values):
    """Run a stage: files of the unit LM and what is tuned are in `folder`, those of the task in `task`."""
    paths = dict(
        reduced_units=[task / "reduced_units.parquet"], vocabulary=task / "vocabulary.parquet",
        rows=task / "binarized.parquet", verbalizer=task / "verbalizer.parquet", model=folder / "model.safetensors", config=folder / "config.json",
        task_prompts=folder / "task_prompts.safetensors", training=folder / f"{stage.__name__}.parquet",
        tuned_weights=folder / "prompt.safetensors", samples=folder / "samples.parquet",
    )  # fmt: skip
    parameters = inspect.signature(stage).parameters
    stage(**{name: path for name, path in paths.items() if name in parameters}, **values)


@pytest.fixture(scope="session")
def pretrained(task, tmp_path_factory):
    """The folder that `pretrain_ulm` has written after a few updates."""
    from ulm.pretrain_ulm import pretrain_ulm

    folder = tmp_path_factory.mktemp("pretrained")
    call(pretrain_ulm, folder, task, **settings("pretrain_ulm", "small", SMALL_LM), seed=1)
    return folder


@pytest.fixture
def augmentation():
    """An augmentation that changes every row strongly."""
    return UnitAugmentation(probability=1.0, drop=0.9, substitute=0.9, crop=1.0)
