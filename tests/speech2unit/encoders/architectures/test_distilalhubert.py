"""DistilALHuBERT: published sizes and checkpoints, the numbers of fairseq's layers run again and again, its Python API."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.encoders.architectures.distilalhubert import BODIES, RepeatedBlocks, build_model, convert
from speech2unit.encoders.convert_encoder import convert_encoder
from storage.schemas import LOAD_REPORT
from storage.tables import read
from storage.untrusted.checkpoints import read_weights
from storage.weights import save_config, save_tensors
from workflow.scripts.config_files import default_config

PRESETS = default_config()["convert_encoder"]
TINY = PRESETS["distilalhubert_2x6"]["sizes"] | dict(
    conv_layers=[[16, 10, 5], [20, 3, 2], [24, 2, 2]], num_repeats=3, dim=32, ffn_dim=48, num_heads=4, pos_conv_kernel=8,
    pos_conv_groups=4,
)  # fmt: skip
MEL = dict(
    body="melhubert", num_repeats=2, num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=5, conv_groups=4, num_targets=[],
    subtract_loudness=True,
)  # fmt: skip
NOISE = np.random.default_rng(0).standard_normal(9_000).astype(np.float32) / 10
WAVEFORMS = [NOISE[:2_000], NOISE[500:9_000], NOISE[:1_333]]


def randomised(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(drawn * 1.5 / max(parameter[0].numel(), 1) ** 0.5)
            else:
                parameter.copy_(0.3 * drawn + (1 if name.endswith("weight") else 0))
    return model.eval()


@pytest.fixture(scope="module")
def reference():
    """fairseq's HuBERT of two layers, which run three times over."""
    from fairseq.data import Dictionary
    from fairseq.models.hubert.hubert import HubertConfig, HubertModel
    from fairseq.tasks.hubert_pretraining import HubertPretrainingConfig

    config = HubertConfig(
        conv_feature_layers=str([tuple(layer) for layer in TINY["conv_layers"]]), encoder_layers=2, encoder_embed_dim=32,
        encoder_ffn_embed_dim=48, encoder_attention_heads=4, conv_pos=8, conv_pos_groups=4, label_rate=50,
    )  # fmt: skip
    return randomised(HubertModel(config, HubertPretrainingConfig(sample_rate=16_000), [Dictionary()]))


@pytest.fixture(scope="module")
def published(reference, tmp_path_factory):
    """A file as the publishers write it, and the folder of the encoder that it becomes."""
    folder = tmp_path_factory.mktemp("published")
    weights = {n: t for n, t in reference.state_dict().items() if not n.startswith(("final_proj", "label_embs"))}
    about = dict(Config=dict(alhubert=dict(repeat_time=3)), dictionaries=[], Step=7, Args=Namespace(upstream="alhubert"))
    torch.save(dict(alhubert=weights, Optimizer=dict(state={0: torch.ones(3)}), **about), folder / "small.ckpt")
    files = dict(model="model.safetensors", config="config.json", load_report="load_report.parquet")
    convert_encoder(
        checkpoint=[folder / "small.ckpt"], architecture="distilalhubert", sha256=["-"], sizes=TINY,
        **{name: folder / file for name, file in files.items()},
    )  # fmt: skip
    return folder


@pytest.fixture
def of_melhubert(tmp_path):
    torch.manual_seed(0)
    front_end = dict(mean=torch.zeros(40), std=torch.ones(40))
    save_tensors(tmp_path / "model.safetensors", build_model(MEL).state_dict() | front_end)
    save_config(tmp_path / "config.json", dict(architecture="distilalhubert", **MEL))
    return encoders.load(tmp_path)


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("distilalhubert_2x6", 23_492_992), ("distilalhubert_3x4", 30_580_864), ("distilalhubert_4x3", 37_668_736)],
)
def test_the_published_sizes_have_the_published_number_of_parameters(preset, parameters):
    with torch.device("meta"):
        model = build_model(PRESETS[preset]["sizes"])
    assert sum(p.numel() for p in model.parameters()) == parameters and len(model.blocks) == 12


def test_blocks_repeat_as_a_set_and_are_there_once():
    one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    blocks = RepeatedBlocks([one, two], 3)
    assert list(blocks) == blocks[:] == [one, two] * 3 and blocks[3] is two and blocks[:3] == [one, two, one]
    assert len(blocks) == 6 and len(list(blocks.parameters())) == 4
    assert set(blocks.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_every_pass_is_that_of_fairseqs_layers_run_again(reference, published):
    encoder, layers = encoders.load(published), list(reference.encoder.layers)
    assert (encoder.sample_rate, encoder.hop_length, encoder.dim, encoder.num_layers) == (16_000, 20, 32, 6)
    outputs = []
    hooks = [layer.register_forward_hook(lambda _, __, output: outputs.append(output[0].transpose(0, 1))) for layer in layers]
    reference.encoder.layers = torch.nn.ModuleList(layers * 3)
    for waveform in WAVEFORMS:
        outputs.clear()
        with torch.no_grad():
            reference.extract_features(torch.from_numpy(waveform)[None], output_layer=6)
        for layer, expected in enumerate(outputs, 1):
            found = encoder.features([waveform], layer)[0]
            assert 0 <= expected.shape[1] - len(found) <= 1  # fairseq adds a frame where their number is odd
            np.testing.assert_allclose(found, expected[0, : len(found)], atol=1e-4)
    assert len(outputs) == 6 and len({float(x.sum()) for x in outputs}) == 6
    reference.encoder.layers = torch.nn.ModuleList(layers)
    [hook.remove() for hook in hooks]


def test_every_tensor_of_a_checkpoint_is_accounted_for(published):
    report = {row["source"]: row["name"] for row in read(published / "load_report.parquet", LOAD_REPORT).to_pylist()}
    assert set(report) == set(read_weights(published / "small.ckpt"))
    assert report["mask_emb"] == "mask_emb" and all(report.values())
    model = build_model(TINY)
    assert set(report.values()) - {"pos_conv.weight"} <= {name for name, _ in model.named_parameters()}


def test_a_checkpoint_of_another_kind_is_refused(reference):
    tensors = reference.state_dict()
    with pytest.raises(ValueError, match="distilalhubert checkpoint: .* expected a tensor 'mask_emb', got none; take the "):
        convert({name: tensor for name, tensor in tensors.items() if name != "mask_emb"}, TINY)
    with pytest.raises(ValueError, match=r"got missing .*front_end\.projection\.weight and 38 more; "):
        convert(dict(mask_emb=tensors["mask_emb"]), TINY)


@pytest.mark.parametrize("body", sorted(BODIES))
def test_the_states_of_a_batch_are_those_of_each_row(body, published, of_melhubert):
    encoder = encoders.load(published) if body == "wav2vec2" else of_melhubert
    found = encoder(WAVEFORMS)
    assert len(found.hidden_states) == encoder.num_layers and found.last_hidden_state is found.hidden_states[-1]
    assert len(found.lengths) == 3 and not found.last_hidden_state.requires_grad
    for layer, states in enumerate(found.hidden_states, 1):
        assert states.shape == (3, max(found.lengths), encoder.dim)
        for waveform, state, length in zip(WAVEFORMS, states, found.lengths):
            np.testing.assert_allclose(state[:length], encoder.features([waveform], layer)[0], atol=1e-4)


def test_layers_beyond_the_passes_are_refused(of_melhubert):
    assert of_melhubert.num_layers == 4
    with pytest.raises(ValueError, match="expected 0 to 4, got 5"):
        encoders.check_layer(of_melhubert, 5, "codebook")


def test_loading_brings_no_compiler_along(of_melhubert, tmp_path):
    """torch._dynamo takes 100 MB and seconds, in each job that reads the encoder."""
    code = (
        f"import sys; from speech2unit import encoders; encoders.load({str(tmp_path)!r}); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[4], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
