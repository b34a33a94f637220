"""The MelHuBERT model: published size, padding, hidden states, logits."""

from dataclasses import asdict, replace

import pytest
import torch

from benchmarks.peers.fairseq_melhubert import FairseqMelHuBERT
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from workflow.scripts.config_files import default_config

TINY = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7, 5))
LENGTHS = torch.tensor([9, 4, 1])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MelHuBERTModel(TINY).eval()


@pytest.fixture
def frames():
    return torch.randn(3, 9, 80, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("section", "preset"), [("pretrain_melhubert", "published"), ("convert_encoder", "melhubert")])
def test_the_published_sizes_have_the_published_number_of_parameters(section, preset):
    settings = dict(num_targets=[512]) | default_config()[section][preset]["sizes"]
    sizes = {name: settings[name] for name in MelHuBERTConfig.__dataclass_fields__}
    with torch.device("meta"):
        model = MelHuBERTModel(MelHuBERTConfig(**sizes))
    assert sum(p.numel() for p in model.parameters()) == 90_231_424


def test_blocks_start_as_those_of_the_authors():
    config = replace(TINY, dim=64, ffn_dim=256, num_targets=(7,))
    torch.manual_seed(0)
    model = MelHuBERTModel(config)
    uniform_heads = [parameter.clone() for parameter in model.final_proj.parameters()]
    model.initialize_blocks("bert")
    theirs = FairseqMelHuBERT(asdict(config), 0.0, seed=0).encoder.layers
    for block, their_block in zip(model.blocks, theirs):
        for name in ("fc1", "fc2"):
            assert getattr(block, name).weight.std().item() == pytest.approx(
                getattr(their_block, name).weight.std().item(), rel=0.05
            )
        assert all(not matrix.bias.any() for matrix in block.matrices.values())
        assert block.q_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert all(torch.equal(before, after) for before, after in zip(uniform_heads, model.final_proj.parameters()))


def test_blocks_may_keep_the_start_of_pytorch(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.initialize_blocks("pytorch")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("padding", [0.0, 100.0])
def test_padding_changes_no_frame_of_any_layer(model, frames, padding):
    padded = frames.clone()
    for row, length in zip(padded, LENGTHS):
        row[length:] = padding
    states = model.hidden_states(padded, LENGTHS)
    assert len(states) == 3
    for i, length in enumerate(LENGTHS):
        for state, expected in zip(states, model.hidden_states(frames[i : i + 1, :length])):
            torch.testing.assert_close(state[i, :length], expected[0], atol=1e-5, rtol=0)


def test_every_frame_depends_on_every_other(model, frames):
    changed = frames.clone()
    changed[0, 8] += 1
    difference = (model.hidden_states(changed)[2] - model.hidden_states(frames)[2]).abs().amax(-1)
    assert (difference[0] > 1e-5).all()
    assert difference[1:].max() == 0


def test_last_layer_stops_early_with_the_same_states(model, frames):
    states = model.hidden_states(frames, LENGTHS, 1)
    assert len(states) == 2
    assert all(torch.equal(a, b) for a, b in zip(states, model.hidden_states(frames, LENGTHS)))


def test_each_set_of_targets_has_logits(model, frames):
    assert [logits.shape for logits in model(frames, LENGTHS)] == [(3, 9, 7), (3, 9, 5)]
