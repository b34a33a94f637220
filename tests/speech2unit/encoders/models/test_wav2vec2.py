"""The wav2vec 2.0 model: published sizes, relative positions."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from speech2unit.encoders.models.wav2vec2 import RelativePositions, Wav2Vec2Config, Wav2Vec2Model

CONVS = ((512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2)
BASE = Wav2Vec2Config(CONVS, False, "group", False, False, 12, 768, 3072, 12, 128, 16, 0, 0)
LARGE = Wav2Vec2Config(CONVS, True, "layer", True, True, 24, 1024, 4096, 16, 128, 16, 0, 0)


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (BASE, 94_371_712 - 768 - 128),  # HuBERT Base in transformers, minus mask embedding and weight norm
        (LARGE, 315_438_720 - 1024 - 128 - 2048),  # wav2vec 2.0 Large (LV-60k), minus the last norm as well
    ],
)
def test_the_published_sizes_have_the_published_number_of_parameters(config, published):
    with torch.device("meta"):
        assert sum(p.numel() for p in Wav2Vec2Model(config).parameters()) == published


@pytest.mark.parametrize(("convs", "hop_length", "min_samples"), [(CONVS, 320, 400), ((*CONVS, (512, 2, 2)), 640, 720)])
def test_hop_and_receptive_field_of_a_frame(convs, hop_length, min_samples):
    config = replace(BASE, conv_layers=convs)
    assert (config.hop_length, config.min_samples) == (hop_length, min_samples)


def test_heads_and_groups_must_divide_the_dimension():
    with pytest.raises(
        ValueError, match="a whole number of channels; expected divisors of dim 768, got num_heads 7, pos_conv_groups 16"
    ):
        replace(BASE, num_heads=7)


def test_relative_positions_depend_only_on_distance_and_direction():
    positions = RelativePositions(SimpleNamespace(num_buckets=32, num_heads=2, max_distance=40))
    torch.nn.init.normal_(positions.weight)
    bias = positions(60)
    assert bias.shape == (2, 60, 60) and torch.equal(bias[:, 1:, 1:], bias[:, :-1, :-1])
    buckets = positions.buckets(torch.tensor([0, -1, -7, -8, -40, -59, 1, 7, 40, 59]))
    assert buckets.tolist() == [0, 1, 7, 8, 15, 15, 17, 23, 31, 31]
    assert torch.equal(bias[:, 5, 3], positions.weight[2]) and torch.equal(bias[:, 3, 5], positions.weight[18])
