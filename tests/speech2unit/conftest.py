"""Small transformers with random weights, and utterances on disk."""

import numpy as np
import pytest
import soundfile

from tests.factories import manifest_row_of_file
from tests.random_models import TRANSFORMERS, with_random_weights


@pytest.fixture(params=TRANSFORMERS)
def transformer(request):
    """Return a function that builds a transformer with two blocks, each with four heads, 16 dimensions and 24 feed-forward rows."""
    return lambda: with_random_weights(TRANSFORMERS[request.param]())


@pytest.fixture
def melhubert():
    return with_random_weights(TRANSFORMERS["melhubert"]())


@pytest.fixture
def hubert():
    return with_random_weights(TRANSFORMERS["hubert"]())


@pytest.fixture
def utterances(tmp_path):
    """Return path and manifest row of seven files of noise; batches of four leave a short one."""
    rows = []
    for number in range(7):
        path = tmp_path / f"{number}.wav"
        noise = np.random.default_rng(number).standard_normal(4_000 + 900 * number) / 10
        soundfile.write(path, noise.astype(np.float32), 16_000, subtype="FLOAT")
        rows.append((path, manifest_row_of_file(path, utterance_id=f"u{number}")))
    return rows
