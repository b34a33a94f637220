"""Ways of tuning: what they train, published numbers of parameters, no change before the first update."""

import pytest
import torch

from speech2unit.encoders import load_trunk
from speech2unit.encoders.architectures.melhubert import MelHuBERTTrunk
from speech2unit.encoders.models.compressed_layers import factorize, keep_heads
from speech2unit.encoders.models.frame_encoder import FrameTrunk
from speech2unit.encoders.models.log_mel import FrontEnd
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from superb.hidden_states import EncoderTuning, batch_hidden_states
from superb.tuning import METHODS, prepare

PROMPT = dict(length=3, initialization="normal", init_scale=0.1)
SETTINGS = dict(
    weighted_sum={},
    input_prompt=PROMPT,
    deep_prompt=PROMPT,
    lora=dict(rank=4),
    adapter=dict(bottleneck=5, both=True),
    bitfit={},
    full={},
)
HUBERT_BASE = dict(
    conv_layers=[[512, 10, 5]] + [[512, 3, 2]] * 4 + [[512, 2, 2]] * 2, conv_bias=False, conv_norm="group", normalize_waveform=False,
    pre_norm=False, num_layers=12, dim=768, ffn_dim=3072, num_heads=12, pos_conv_kernel=128, pos_conv_groups=16, num_buckets=0, max_distance=0,
)  # fmt: skip
TRUNKS = dict(
    hubert=lambda: FrameTrunk(Wav2Vec2Model(Wav2Vec2Config(**HUBERT_BASE))),
    melhubert=lambda: MelHuBERTTrunk(MelHuBERTModel(MelHuBERTConfig(12, 768, 3072, 12, 128, 16, (512,))), None),
)


def num_trained(*modules):
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad)


@pytest.mark.slow
@pytest.mark.parametrize("method, settings, expected", [
    ("weighted_sum", {}, 0), ("input_prompt", PROMPT | dict(length=10), 7_680), ("deep_prompt", PROMPT | dict(length=10), 99_840),
    ("lora", dict(rank=8), 294_912), ("adapter", dict(bottleneck=32, both=False), 599_424),
    ("adapter", dict(bottleneck=32, both=True), 1_198_848), ("bitfit", {}, 101_376),
])  # fmt: skip
@pytest.mark.parametrize("architecture", TRUNKS)
def test_the_counts_at_the_published_sizes(architecture, method, settings, expected):
    with torch.device("meta"):
        trunk = TRUNKS[architecture]()
        assert num_trained(prepare(trunk, method=method, **settings), trunk) == expected


def test_full_fine_tuning_of_hubert_base_trains_all_of_it():
    with torch.device("meta"):
        trunk = TRUNKS["hubert"]()
        prepare(trunk, method="full")
    assert (
        num_trained(trunk) == sum(p.numel() for p in trunk.parameters()) == 94_370_816
    )  # fairseq's, less 128 lengths of a normalised weight


def test_every_method_is_tested():
    assert SETTINGS.keys() == METHODS.keys()


@pytest.mark.parametrize("method", SETTINGS)
def test_trained_parameters_receive_a_gradient_and_no_others_do(folder, waveforms, method):
    torch.manual_seed(0)
    trunk = load_trunk(folder)
    tuning_module = prepare(trunk, method=method, **SETTINGS[method])
    for adapter in getattr(tuning_module, "adapters", []):
        torch.nn.init.normal_(adapter.up.weight)  # with zeros, `down` would get no gradient
    for update in getattr(tuning_module, "updates", []):
        torch.nn.init.normal_(update.b)
    states, _ = batch_hidden_states(trunk, tuning_module, waveforms)
    added = {name: p for name, p in tuning_module.named_parameters() if p.requires_grad}
    in_trunk = {name: p for name, p in trunk.named_parameters() if p.requires_grad}
    if method == "weighted_sum":
        assert not added and not in_trunk and not states.requires_grad
        return
    states[-1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in (*added.values(), *in_trunk.values()))
    assert all(p.grad is None for p in trunk.parameters() if not p.requires_grad)
    biases = {
        name for name, p in trunk.named_parameters() if name.endswith("bias") and (".blocks." in name or ".layers." in name)
    }
    everything = {name for name, _ in trunk.named_parameters()}
    assert in_trunk.keys() == dict(bitfit=biases, full=everything).get(method, set())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["weighted_sum", "lora", "adapter", "bitfit", "full"])
def test_before_the_first_update_nothing_changes(folder, waveforms, method):
    plain, _ = batch_hidden_states(load_trunk(folder), EncoderTuning(), waveforms)
    trunk = load_trunk(folder)
    prepared, _ = batch_hidden_states(trunk, prepare(trunk, method=method, **SETTINGS[method]), waveforms)
    assert torch.equal(prepared, plain)


def test_a_low_rank_update_equals_one_of_the_weight(folder, waveforms):
    torch.manual_seed(0)
    trunk, changed = load_trunk(folder), load_trunk(folder)
    tuning_module = prepare(trunk, method="lora", rank=4)
    with torch.no_grad():
        for update in tuning_module.updates:
            update.b.normal_()
        for block, (query, value) in zip(changed.blocks, zip(tuning_module.updates[::2], tuning_module.updates[1::2])):
            if hasattr(block, "qkv"):
                block.qkv.weight += torch.cat([query.b @ query.a, torch.zeros(16, 16), value.b @ value.a])
            else:
                block.q_proj.weight += query.b @ query.a
                block.v_proj.weight += value.b @ value.a
    expected, _ = batch_hidden_states(changed, EncoderTuning(), waveforms)
    torch.testing.assert_close(batch_hidden_states(trunk, tuning_module, waveforms)[0], expected, atol=1e-4, rtol=0)


def test_an_adapter_acts_inside_the_residual(melhubert, waveforms):
    trunk, changed = load_trunk(melhubert), load_trunk(melhubert)
    tuning_module = prepare(trunk, method="adapter", bottleneck=5, both=False)
    with torch.no_grad():
        for adapter, block in zip(tuning_module.adapters, changed.blocks):
            adapter.up.bias.fill_(0.3)
            block.fc2.bias += 0.3
    expected, _ = batch_hidden_states(changed, EncoderTuning(), waveforms)
    torch.testing.assert_close(batch_hidden_states(trunk, tuning_module, waveforms)[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["deep_prompt", "lora", "adapter"])
def test_pruned_and_factorised_blocks_are_tuned_like_others(melhubert, waveforms, method):
    trunk = load_trunk(melhubert)
    block = trunk.blocks[0]
    keep_heads(block, [1])
    for name in ("q_proj", "v_proj", "fc2"):
        factorize(block, name, 3)
    tuning_module = prepare(trunk, method=method, **SETTINGS[method])
    batch_hidden_states(trunk, tuning_module, waveforms)[0][-1].square().sum().backward()
    assert all(p.grad is not None for p in tuning_module.parameters())
    assert (
        num_trained(tuning_module)
        == dict(deep_prompt=144, lora=2 * 4 * (16 + 8) + 2 * 4 * 32, adapter=4 * (2 * 5 * 16 + 21))[method]
    )


@pytest.mark.parametrize("method", ["deep_prompt", "lora", "adapter", "bitfit"])
def test_blocks_that_run_several_times_share_what_is_added_to_them(waveforms, method):
    """An encoder may run its few blocks several times. Prompts are not shared: each pass has its own."""
    model = MelHuBERTModel(MelHuBERTConfig(2, 16, 24, 2, 6, 4, (7,)))
    model.layers = torch.nn.ModuleList([*model.layers, *model.layers])
    trunk = MelHuBERTTrunk(model, FrontEnd(torch.zeros(40), torch.ones(40), True))
    assert (trunk.num_layers, len(trunk.blocks)) == (4, 2)
    tuning_module = prepare(trunk, method=method, **SETTINGS[method])
    states, _ = batch_hidden_states(trunk, tuning_module, waveforms)
    assert len(states) == 5
    sizes = dict(
        deep_prompt=5 * 3 * 16, lora=2 * 2 * 2 * 4 * 16, adapter=2 * 2 * (2 * 5 * 16 + 5 + 16), bitfit=2 * (4 * 16 + 24 + 3 * 16)
    )
    assert num_trained(tuning_module, trunk) == sizes[method]


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="'method' must be a way of tuning; .* got 'deep_prompts'; did you mean \"deep_prompt\""):
        prepare(torch.nn.Identity(), method="deep_prompts")
