"""What the tests of compression share: a parent, speech with pseudo-labels, and the arguments of a stage."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import FrontEnd
from speech2unit.schemas import UNITS
from storage import tables
from storage.weights import save_config, save_tensors
from tests.random_models import TRANSFORMERS, with_random_weights

DATA = dict(
    augmentation=dict(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0),
    mask=dict(probability=0.4, span=2, min_spans=1),
    unmasked_weight=0.0,
    max_crop_frames=15,
    batch_frames=60,
    dev_fraction=0.3,
)
OPTIMIZATION = dict(
    batches_per_update=1,
    learning_rate=0.01,
    warmup_updates=0,
    clip_norm=5.0,
    betas=[0.9, 0.98],
    weight_decay=0.01,
    evaluate_every=1,
)
FRONT_END = FrontEnd(torch.zeros(40), torch.full((40,), 2.0), subtract_loudness=False)


def write_parent(folder, transformer):
    """Write an encoder with random tensors; return its model."""
    model = with_random_weights(TRANSFORMERS[transformer]())
    tensors = model.state_dict()
    architectures = dict(whisper="whisper", conformer="wav2vec2_bert")
    settings = dict(architecture=architectures.get(transformer, "wav2vec2")) | asdict(model.config)
    if transformer == "melhubert":
        tensors |= dict(mean=FRONT_END.mean, std=FRONT_END.std)
        settings |= dict(architecture="melhubert", subtract_loudness=FRONT_END.subtract_loudness)
    save_tensors(folder / "model.safetensors", tensors)
    save_config(folder / "config.json", settings)
    return model


@pytest.fixture
def prepare_stage(utterances, tmp_path):
    """Return a function that prepares a compression stage.

    The function takes the name of a transformer and a name for the compressed encoder. It returns the arguments that all
    these stages share, a function that loads the model of an encoder by name, and the parent's model.
    """
    rows = [row for _, row in utterances]
    tables.write(tmp_path / "manifest.parquet", rows, MANIFEST)
    units = []
    for row in rows:
        labels = [frame % 5 for frame in range(FRONT_END.num_frames(row["num_samples"]))]
        units.append(dict(utterance_id=row["utterance_id"], split="train", codebook="c", units=labels))
    tables.write(tmp_path / "units.parquet", units, UNITS)

    def load_model(name):
        encoder = encoders.load(tmp_path / name)
        assert np.isfinite(encoder.features([np.zeros(2_000, np.float32)], 1)[0]).all()
        return encoders.load_trainable(tmp_path / name).model

    def prepare(transformer, name="child"):
        (tmp_path / "parent").mkdir(exist_ok=True)
        (tmp_path / name).mkdir()
        parent = write_parent(tmp_path / "parent", transformer)
        has_targets = transformer == "melhubert"
        arguments = dict(
            parent_model=tmp_path / "parent/model.safetensors",
            parent_config=tmp_path / "parent/config.json",
            manifests=[tmp_path / "manifest.parquet"],
            targets=[tmp_path / "units.parquet"] if has_targets else [],
            model=tmp_path / name / "model.safetensors",
            config=tmp_path / name / "config.json",
            training=tmp_path / name / "training.parquet",
            roots=[tmp_path],
            num_targets=[5] if has_targets else [],
            dropout=0.1,
            data=DATA,
            optimization=OPTIMIZATION,
            seed=1,
        )
        return arguments, load_model, parent

    return prepare
