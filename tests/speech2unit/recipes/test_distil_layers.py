"""Distillation of a DistilALHuBERT: what counts in the loss, what the teacher may not do, where a student starts, its stage."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from speech2unit import encoders
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.architectures.distilalhubert import build_model
from speech2unit.encoders.models.compressed_layers import factorize, keep_heads, keep_rows, layer_sizes
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.recipes.distil_layers import (
    copy_teacher,
    distil_layers,
    distillation_loss,
    scale_cnn_gradients,
    student_settings,
)
from speech2unit.recipes.objectives import layer_losses
from storage import tables
from storage.files import read_json
from storage.schemas import TRAINING
from storage.weights import load_tensors, save_config, save_tensors
from tests.factories import manifest_row_of_file
from workflow.scripts.config_files import default_config

PRESETS = default_config()["distil_layers"]
SIZES = dict(
    melhubert=dict(num_layers=4, dim=16, ffn_dim=32, num_heads=2, conv_kernel=5, conv_groups=4, num_targets=[7]),
    wav2vec2=dict(
        conv_layers=[[8, 10, 5], [8, 8, 8], [12, 8, 8]], conv_bias=False, conv_norm="group", normalize_waveform=False, pre_norm=False,
        num_layers=4, dim=16, ffn_dim=32, num_heads=2, pos_conv_kernel=8, pos_conv_groups=4, num_buckets=0, max_distance=0,
    ),
)  # fmt: skip
NOISE = np.random.default_rng(0).standard_normal(20_000).astype(np.float32) / 10
WAVEFORMS = [NOISE[:4_000], NOISE[500:9_000], NOISE[:6_100]]
EVEN = dict(layers=[2, 4], cosine_weight=1.0)


@pytest.fixture(params=sorted(SIZES))
def teacher(request, tmp_path):
    """Folder of an encoder with drawn tensors."""
    torch.manual_seed(0)
    sizes, front_end = SIZES[request.param], dict(mean=torch.zeros(40), std=torch.full((40,), 2.0))
    if request.param == "melhubert":
        tensors = MelHuBERTModel(MelHuBERTConfig(**sizes)).state_dict() | front_end
    else:
        model = Wav2Vec2Model(Wav2Vec2Config(**sizes))
        [torch.nn.init.normal_(p, std=0.2) for p in (model.pos_conv.weight, model.pos_conv.bias)]
        tensors = model.state_dict()
    moved = {name: tensor + 0.1 if "norm" in name else tensor for name, tensor in tensors.items()}
    save_tensors(tmp_path / "model.safetensors", moved)
    save_config(tmp_path / "config.json", dict(architecture=request.param, subtract_loudness=False) | sizes)
    return tmp_path


def pair(folder, num_layers=2, num_repeats=2, norms=True, dropout=0.0):
    """Teacher, encoder and model of a fresh student."""
    settings = read_json(folder / "config.json")
    student = build_model(student_settings(settings, dict(num_layers=num_layers, num_repeats=num_repeats), "here"), dropout)
    copy_teacher(student, load_tensors(folder / "model.safetensors"), norms)
    found = encoders.load(folder)
    return found, found.with_model(student), student


# the loss


def test_the_loss_is_squared_error_and_cosine_of_each_layer():
    student, teacher = ([torch.randn(1, 3, 8) for _ in range(5)] for _ in range(2))
    loss, num_frames = layer_losses(student, teacher, torch.tensor([3]), [2, 4], 0.5)
    expected = 0
    for layer in (2, 4):
        expected += 3 * F.mse_loss(student[layer], teacher[layer])
        expected -= 0.5 * F.cosine_similarity(student[layer], teacher[layer], dim=-1).sigmoid().log().sum()
    assert num_frames == 3
    torch.testing.assert_close(loss, expected)


def test_what_pads_a_row_counts_for_nothing():
    student, teacher = ([torch.randn(2, 6, 8) for _ in range(5)] for _ in range(2))
    lengths = torch.tensor([6, 2])
    loss, num_frames = layer_losses(student, teacher, lengths, **EVEN)
    for states in (student, teacher):
        for state in states:
            state[1, 2:] = torch.randn(4, 8) * 1e3
    assert num_frames == 8 and layer_losses(student, teacher, lengths, **EVEN)[0] == loss


def test_a_batch_is_the_sum_of_its_rows_also_a_short_last_one(teacher):
    found, student, _ = pair(teacher, dropout=0.0)
    together, num_frames = distillation_loss(student, found, WAVEFORMS, **EVEN)
    alone = [distillation_loss(student, found, [waveform], **EVEN) for waveform in WAVEFORMS]
    assert num_frames == sum(n for _, n in alone)
    torch.testing.assert_close(together, sum(loss for loss, _ in alone), atol=1e-2, rtol=1e-4)


def test_the_teacher_is_evaluated_and_never_trained(teacher):
    found, student, model = pair(teacher, dropout=0.5)
    model.train()
    assert not any(module.training for module in found.model.modules())
    first, second = ([state.clone() for state in found.hidden_states(WAVEFORMS)[0]] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    before = {name: tensor.clone() for name, tensor in found.model.state_dict().items() if torch.is_tensor(tensor)}
    distillation_loss(student, found, WAVEFORMS, **EVEN)[0].backward()
    assert all(p.grad is None for p in found.model.parameters())
    assert all(torch.equal(found.model.state_dict()[name], tensor) for name, tensor in before.items())
    unused = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert unused <= {"mask_emb", "layers.0.k_proj.bias", "layers.1.k_proj.bias"}  # keys' biases move no attention


# where a student starts


def test_a_student_of_all_layers_run_once_is_its_teacher(teacher):
    found, student, _ = pair(teacher, num_layers=4, num_repeats=1)
    (mine, lengths), (theirs, _) = student.hidden_states(WAVEFORMS), found.hidden_states(WAVEFORMS)
    assert len(mine) == 5
    for a, b in zip(mine, theirs):
        for row, (x, y) in enumerate(zip(a, b)):
            torch.testing.assert_close(x[: lengths[row]], y[: lengths[row]], atol=1e-4, rtol=1e-4)
    loss, num_frames = layer_losses(mine, theirs, lengths, **EVEN)
    assert loss.item() == pytest.approx(2 * num_frames * np.log1p(np.exp(-1)), rel=1e-4)


def test_a_pruned_teacher_has_a_student_of_its_own_sizes(tmp_path):
    torch.manual_seed(0)
    model = MelHuBERTModel(MelHuBERTConfig(**SIZES["melhubert"]))
    keep_heads(model.layers[0], [1])
    keep_rows(model.layers[1], torch.arange(8))
    factorize(model.layers[1], "q_proj", 3)
    save_tensors(tmp_path / "model.safetensors", model.state_dict() | dict(mean=torch.zeros(40), std=torch.ones(40)))
    about = dict(architecture="melhubert", subtract_loudness=False, layers=layer_sizes(model))
    save_config(tmp_path / "config.json", about | SIZES["melhubert"])
    found, student, _ = pair(tmp_path, num_layers=2, num_repeats=2)
    mine, theirs = (encoder.hidden_states(WAVEFORMS[:1])[0] for encoder in (student, found))
    torch.testing.assert_close(mine[2], theirs[2], atol=1e-4, rtol=1e-4)
    assert len(mine) == 5 and not torch.allclose(mine[3], theirs[3], atol=1e-2)


def test_as_published_some_norms_start_anew(teacher):
    model, tensors = pair(teacher, norms=False)[2], load_tensors(teacher / "model.safetensors")
    names = {name for name in model.state_dict() if name in tensors and not torch.equal(model.state_dict()[name], tensors[name])}
    of_wav2vec2 = "front_end.projection.weight" in tensors
    expected = {"front_end.frame_norm", "input_norm"} if of_wav2vec2 else {"layer_norm"}
    assert {name.rpartition(".")[0] for name in names} == expected


def test_gradients_of_the_convolutions_are_slowed_down():
    torch.manual_seed(0)
    student = build_model(dict(SIZES["wav2vec2"], body="wav2vec2", num_repeats=1))
    copy_teacher(student, {"pos_conv.weight": torch.randn_like(student.pos_conv.weight)}, True)
    torch.nn.init.zeros_(student.pos_conv.bias)

    def gradients():
        student.zero_grad()
        list(student.hidden_states([student.front_end(torch.from_numpy(NOISE[:4_000]))]))[-1][..., 0].sum().backward()
        return {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}

    before = gradients()
    scale_cnn_gradients(student, 0.1)
    for name, gradient in gradients().items():
        factor = 0.1 if name.startswith(("front_end.convs", "front_end.norms")) else 1.0
        torch.testing.assert_close(gradient, before[name] * factor)


@pytest.mark.parametrize(
    ("architecture", "num_layers", "num_repeats", "message"),
    [
        ("cpc", 1, 4, r"expected one of \['melhubert', 'wav2vec2'\], got cpc; change 'parent'"),
        ("melhubert", 2, 3, "expected at most 4 layers, got 2 × 3; lower 'num_layers' or 'num_repeats'"),
        ("wav2vec2", 5, 1, "got 5 × 1; "),
    ],
)
def test_teachers_without_the_layers_are_refused(architecture, num_layers, num_repeats, message):
    sizes = dict(num_layers=num_layers, num_repeats=num_repeats)
    with pytest.raises(ValueError, match=f"^here: .*{message}"):
        student_settings(dict(architecture=architecture, num_layers=4), sizes, "here")


# the stage


def rows(folder):
    for i in range(8):
        num_samples = 4_000 + 700 * i
        soundfile.write(folder / f"{i}.wav", NOISE[i : i + num_samples], 16_000, subtype="FLOAT")
        yield manifest_row_of_file(folder / f"{i}.wav", utterance_id=f"u{i}")


def test_the_stage_writes_an_encoder_that_came_nearer_to_its_teacher(teacher):
    tables.write(teacher / "m.parquet", list(rows(teacher)), MANIFEST)
    preset = PRESETS["small"] | dict(num_updates=20, dropout=0.0)
    preset["data"] = dict(max_crop_frames=20, batch_frames=60, dev_fraction=0.3)
    preset["optimization"] = preset["optimization"] | dict(batches_per_update=1, warmup_updates=2, evaluate_every=10)
    curves = []
    for name in ("one", "two"):
        (teacher / name).mkdir()
        out = SimpleNamespace(model="model.safetensors", config="config.json", training="training.parquet")
        distil_layers(
            manifests=[teacher / "m.parquet"], parent_model=teacher / "model.safetensors", parent_config=teacher / "config.json",
            roots=[teacher], **{key: teacher / name / file for key, file in vars(out).items()}, **preset,
        )  # fmt: skip
        curves.append(tables.read(teacher / name / "training.parquet", TRAINING).drop_columns("seconds"))
    one, two = (load_tensors(teacher / name / "model.safetensors") for name in ("one", "two"))
    assert set(one) == set(two) and all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert curves[0].equals(curves[1])
    found, student, _ = pair(teacher, num_layers=1, num_repeats=4)
    distilled = encoders.load(teacher / "one")
    assert distilled.num_layers == 4 and sum(p.numel() for p in student.model.parameters()) < 0.5 * sum(
        p.numel() for p in load_tensors(teacher / "model.safetensors").values()
    )
    with torch.no_grad():
        before, after = (distillation_loss(e, found, WAVEFORMS, **EVEN)[0] for e in (student, distilled.encoder))
    assert after < 0.95 * before


def test_every_setting_is_asked_for():
    assert all(p.default is p.empty for p in inspect.signature(distil_layers).parameters.values())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_last_pass_of_a_preset_learns(preset):
    sizes = PRESETS[preset]["sizes"]
    assert sizes["num_layers"] * sizes["num_repeats"] % PRESETS[preset]["layer_interval"] == 0
