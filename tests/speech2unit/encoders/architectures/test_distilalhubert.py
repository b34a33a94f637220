"""DistilALHuBERT: published sizes and checkpoints, the same numbers as fairseq's layers run several times, its Python API."""

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
from tests.random_models import with_random_weights
from workflow.scripts.config_files import default_config

pytestmark = pytest.mark.slow  # the published code that the tests compare with takes seconds to import

PRESETS = default_config()["convert_encoder"]
WAV2VEC2_BODY = PRESETS["distilalhubert_2x6"]["sizes"] | dict(
    conv_layers=[[16, 10, 5], [20, 3, 2], [24, 2, 2]],
    num_repeats=3,
    dim=32,
    ffn_dim=48,
    num_heads=4,
    pos_conv_kernel=8,
    pos_conv_groups=4,
)
MELHUBERT_BODY = dict(
    body="melhubert",
    num_repeats=2,
    num_layers=2,
    dim=16,
    ffn_dim=32,
    num_heads=2,
    conv_kernel=5,
    conv_groups=4,
    num_targets=[],
    subtract_loudness=True,
)
NOISE = np.random.default_rng(0).standard_normal(9_000).astype(np.float32) / 10
WAVEFORMS = [NOISE[:2_000], NOISE[500:9_000], NOISE[:1_333]]


@pytest.fixture(scope="module")
def reference():
    """fairseq's HuBERT with two layers."""
    from fairseq.data import Dictionary
    from fairseq.models.hubert.hubert import HubertConfig, HubertModel
    from fairseq.tasks.hubert_pretraining import HubertPretrainingConfig

    config = HubertConfig(
        conv_feature_layers=str([tuple(layer) for layer in WAV2VEC2_BODY["conv_layers"]]),
        encoder_layers=2,
        encoder_embed_dim=32,
        encoder_ffn_embed_dim=48,
        encoder_attention_heads=4,
        conv_pos=8,
        conv_pos_groups=4,
        label_rate=50,
    )
    return with_random_weights(HubertModel(config, HubertPretrainingConfig(sample_rate=16_000), [Dictionary()]))


@pytest.fixture(scope="module")
def published(reference, tmp_path_factory):
    """Folder with a checkpoint as its publishers write it, and the encoder converted from it."""
    folder = tmp_path_factory.mktemp("published")
    weights = {n: t for n, t in reference.state_dict().items() if not n.startswith(("final_proj", "label_embs"))}
    checkpoint = dict(
        alhubert=weights,
        Optimizer=dict(state={0: torch.ones(3)}),
        Config=dict(alhubert=dict(repeat_time=3)),
        dictionaries=[],
        Step=7,
        Args=Namespace(upstream="alhubert"),
    )
    torch.save(checkpoint, folder / "small.ckpt")
    convert_encoder(
        checkpoint=[folder / "small.ckpt"],
        architecture="distilalhubert",
        sha256=["-"],
        sizes=WAV2VEC2_BODY,
        model=folder / "model.safetensors",
        config=folder / "config.json",
        load_report=folder / "load_report.parquet",
    )
    return folder


@pytest.fixture
def melhubert_folder(tmp_path):
    """Folder of an encoder with a MelHuBERT as its body."""
    torch.manual_seed(0)
    front_end = dict(mean=torch.zeros(40), std=torch.ones(40))
    save_tensors(tmp_path / "model.safetensors", build_model(MELHUBERT_BODY).state_dict() | front_end)
    save_config(tmp_path / "config.json", dict(architecture="distilalhubert", **MELHUBERT_BODY))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("distilalhubert_2x6", 23_492_992), ("distilalhubert_3x4", 30_580_864), ("distilalhubert_4x3", 37_668_736)],
)
def test_the_published_sizes_have_the_published_number_of_parameters(preset, parameters):
    with torch.device("meta"):
        model = build_model(PRESETS[preset]["sizes"])
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.blocks) == 12


def test_blocks_repeat_in_turn_and_are_registered_once():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    blocks = RepeatedBlocks([first, second], 3)
    assert list(blocks) == blocks[:] == [first, second] * 3
    assert blocks[3] is second and blocks[:3] == [first, second, first]
    assert len(blocks) == 6 and len(list(blocks.parameters())) == 4
    assert set(blocks.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}


@pytest.mark.slow
def test_each_layer_is_that_of_fairseqs_layers_run_several_times(reference, published):
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
            features = encoder.features([waveform], layer)[0]
            assert 0 <= expected.shape[1] - len(features) <= 1  # fairseq adds a frame to an odd number of frames
            np.testing.assert_allclose(features, expected[0, : len(features)], atol=1e-4)
    assert len(outputs) == 6 and len({float(x.sum()) for x in outputs}) == 6
    reference.encoder.layers = torch.nn.ModuleList(layers)
    for hook in hooks:
        hook.remove()


def test_every_tensor_of_a_checkpoint_is_used(published):
    report = {row["source"]: row["name"] for row in read(published / "load_report.parquet", LOAD_REPORT).to_pylist()}
    assert set(report) == set(read_weights(published / "small.ckpt"))
    assert report["mask_emb"] == "mask_emb" and all(report.values())
    model = build_model(WAV2VEC2_BODY)
    assert set(report.values()) - {"pos_conv.weight"} <= {name for name, _ in model.named_parameters()}


def test_a_checkpoint_of_another_model_is_refused(reference):
    tensors = reference.state_dict()
    with pytest.raises(ValueError, match="distilalhubert checkpoint: .* expected a tensor 'mask_emb', got none; take the "):
        convert({name: tensor for name, tensor in tensors.items() if name != "mask_emb"}, WAV2VEC2_BODY)
    with pytest.raises(ValueError, match=r"got missing .*front_end\.projection\.weight and 38 more; "):
        convert(dict(mask_emb=tensors["mask_emb"]), WAV2VEC2_BODY)


@pytest.mark.slow
@pytest.mark.parametrize("body", sorted(BODIES))
def test_hidden_states_of_a_batch_are_the_features_of_each_waveform(body, published, melhubert_folder):
    encoder = encoders.load(published if body == "wav2vec2" else melhubert_folder)
    output = encoder(WAVEFORMS)
    assert len(output.hidden_states) == encoder.num_layers
    assert output.last_hidden_state is output.hidden_states[-1]
    assert not output.last_hidden_state.requires_grad
    assert output.lengths.tolist() == [encoder.num_frames(len(waveform)) for waveform in WAVEFORMS]
    for layer, states in enumerate(output.hidden_states, 1):
        assert states.shape == (3, max(output.lengths), encoder.dim)
        for waveform, state, length in zip(WAVEFORMS, states, output.lengths):
            np.testing.assert_allclose(state[:length], encoder.features([waveform], layer)[0], atol=1e-4)


def test_layers_above_the_last_one_are_refused(melhubert_folder):
    encoder = encoders.load(melhubert_folder)
    assert encoder.num_layers == 4
    with pytest.raises(ValueError, match="expected 0 to 4, got 5"):
        encoders.check_layer(encoder, 5, "codebook")


@pytest.mark.slow
def test_loading_does_not_import_the_compiler(melhubert_folder):
    """torch._dynamo takes 100 MB and seconds in each job that loads the encoder."""
    code = (
        "import sys; from speech2unit import encoders; "
        f"encoders.load({str(melhubert_folder)!r}); print('torch._dynamo' in sys.modules)"
    )
    root = Path(__file__).parents[4]
    process = subprocess.run([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    assert process.stdout.split() == ["False"]
