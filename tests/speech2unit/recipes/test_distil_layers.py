"""Distillation of a DistilALHuBERT: the loss, the teacher that does not change, the student's first tensors, the stage."""

import inspect

import numpy as np
import pytest
import soundfile
import torch

from speech2unit import encoders
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.architectures.distilalhubert import build_model
from speech2unit.encoders.models.compressed_layers import factorize, keep_heads, keep_rows, layer_sizes
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel
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
from tests.equality import assert_same_tensors
from tests.factories import manifest_row_of_file
from workflow.scripts.config_files import default_config

PRESETS = default_config()["distil_layers"]
MELHUBERT = dict(num_layers=4, dim=16, ffn_dim=32, num_heads=2, conv_kernel=5, conv_groups=4, num_targets=[7])
WAV2VEC2 = dict(
    conv_layers=[[8, 10, 5], [8, 8, 8], [12, 8, 8]],
    conv_bias=False,
    conv_norm="group",
    normalize_waveform=False,
    pre_norm=False,
    num_layers=4,
    dim=16,
    ffn_dim=32,
    num_heads=2,
    pos_conv_kernel=8,
    pos_conv_groups=4,
    num_buckets=0,
    max_distance=0,
)
NOISE = np.random.default_rng(0).standard_normal(20_000).astype(np.float32) / 10
WAVEFORMS = [NOISE[:4_000], NOISE[500:9_000], NOISE[:6_100]]
WHISPER = dict(num_mels=80, num_positions=600, num_layers=4, dim=16, ffn_dim=32, num_heads=2, padded=False, final_norm=False)
LOSS = dict(layers=[2, 4], cosine_weight=1.0)


def write_teacher(folder, model, architecture, sizes):
    tensors = model.state_dict()
    if architecture == "melhubert":
        tensors |= dict(mean=torch.zeros(40), std=torch.full((40,), 2.0))
    tensors = {name: tensor + 0.1 if "norm" in name else tensor for name, tensor in tensors.items()}
    save_tensors(folder / "model.safetensors", tensors)
    save_config(folder / "config.json", dict(architecture=architecture, subtract_loudness=False) | sizes)


@pytest.fixture(params=["melhubert", "wav2vec2", "whisper"])
def teacher_folder(request, tmp_path):
    """Return the folder of an encoder with random tensors."""
    torch.manual_seed(0)
    if request.param == "melhubert":
        write_teacher(tmp_path, MelHuBERTModel(MelHuBERTConfig(**MELHUBERT)), "melhubert", MELHUBERT)
    elif request.param == "whisper":
        write_teacher(tmp_path, WhisperModel(WhisperConfig(**WHISPER)), "whisper", WHISPER)
    else:
        model = Wav2Vec2Model(Wav2Vec2Config(**WAV2VEC2))
        torch.nn.init.normal_(model.pos_conv.weight, std=0.2)
        torch.nn.init.normal_(model.pos_conv.bias, std=0.2)
        write_teacher(tmp_path, model, "wav2vec2", WAV2VEC2)
    return tmp_path


def teacher_and_student(folder, num_layers=2, num_repeats=2, norms_from_teacher=True, dropout=0.0):
    """Return the teacher in a folder and a new student of it, both as encoders."""
    settings = read_json(folder / "config.json")
    model = build_model(student_settings(settings, dict(num_layers=num_layers, num_repeats=num_repeats), "here"), dropout)
    copy_teacher(model, load_tensors(folder / "model.safetensors"), norms_from_teacher)
    teacher = encoders.load(folder)
    return teacher, teacher.with_model(model)


# the loss


def test_the_loss_of_a_batch_is_the_sum_over_its_waveforms(teacher_folder):
    teacher, student = teacher_and_student(teacher_folder)
    loss, num_frames = distillation_loss(student, teacher, WAVEFORMS, **LOSS)
    losses = [distillation_loss(student, teacher, [waveform], **LOSS) for waveform in WAVEFORMS]
    assert num_frames == sum(number for _, number in losses)
    torch.testing.assert_close(loss, sum(waveform_loss for waveform_loss, _ in losses), atol=1e-2, rtol=1e-4)


def test_the_teacher_is_in_evaluation_mode_and_not_trained(teacher_folder):
    teacher, student = teacher_and_student(teacher_folder, dropout=0.5)
    student.model.train()
    assert not any(module.training for module in teacher.model.modules())
    states = [state.clone() for state in teacher.hidden_states(WAVEFORMS)[0]]
    states_again, _ = teacher.hidden_states(WAVEFORMS)
    assert all(torch.equal(state, again) for state, again in zip(states, states_again))
    tensors = teacher.model.state_dict()
    tensors_before = {name: tensor.clone() for name, tensor in tensors.items() if torch.is_tensor(tensor)}
    loss, _ = distillation_loss(student, teacher, WAVEFORMS, **LOSS)
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.model.parameters())
    assert all(torch.equal(teacher.model.state_dict()[name], tensor) for name, tensor in tensors_before.items())


def test_all_parameters_of_the_student_get_gradients(teacher_folder):
    teacher, student = teacher_and_student(teacher_folder, dropout=0.5)
    student.model.train()
    loss, _ = distillation_loss(student, teacher, WAVEFORMS, **LOSS)
    loss.backward()
    without = {name for name, p in student.model.named_parameters() if p.grad is None or not p.grad.any()}
    # The bias of the keys does not change the attention weights.
    assert without <= {"mask_emb", "layers.0.k_proj.bias", "layers.1.k_proj.bias"}


# the student's first tensors


def test_a_student_with_all_layers_and_no_repeats_equals_its_teacher(teacher_folder):
    teacher, student = teacher_and_student(teacher_folder, num_layers=4, num_repeats=1)
    states, lengths = student.hidden_states(WAVEFORMS)
    teacher_states, _ = teacher.hidden_states(WAVEFORMS)
    assert len(states) == 5
    for layer_states, teacher_layer_states in zip(states, teacher_states):
        for row, length in enumerate(lengths):
            torch.testing.assert_close(layer_states[row, :length], teacher_layer_states[row, :length], atol=1e-4, rtol=1e-4)
    loss, num_frames = layer_losses(states, teacher_states, lengths, **LOSS)
    assert loss.item() == pytest.approx(2 * num_frames * np.log1p(np.exp(-1)), rel=1e-4)


def test_the_student_of_a_pruned_teacher_has_the_pruned_sizes(tmp_path):
    torch.manual_seed(0)
    model = MelHuBERTModel(MelHuBERTConfig(**MELHUBERT))
    keep_heads(model.blocks[0], [1])
    keep_rows(model.blocks[1], torch.arange(8))
    factorize(model.blocks[1], "q_proj", 3)
    write_teacher(tmp_path, model, "melhubert", MELHUBERT | dict(layers=layer_sizes(model)))
    teacher, student = teacher_and_student(tmp_path, num_layers=2, num_repeats=2)
    states, _ = student.hidden_states(WAVEFORMS[:1])
    teacher_states, _ = teacher.hidden_states(WAVEFORMS[:1])
    assert len(states) == 5
    torch.testing.assert_close(states[2], teacher_states[2], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(states[3], teacher_states[3], atol=1e-2)


def test_as_published_the_norms_before_the_first_block_are_not_copied(teacher_folder):
    _, student = teacher_and_student(teacher_folder, norms_from_teacher=False)
    tensors = load_tensors(teacher_folder / "model.safetensors")
    different = set()
    for name, tensor in student.model.state_dict().items():
        if name in tensors and not torch.equal(tensor, tensors[name]):
            different.add(name.rpartition(".")[0])
    norms = dict(melhubert={"layer_norm"}, wav2vec2={"front_end.frame_norm", "input_norm"}, whisper=set())
    assert different == norms[read_json(teacher_folder / "config.json")["architecture"]]


def test_gradients_of_the_convolutions_are_scaled():
    torch.manual_seed(0)
    student = build_model(dict(WAV2VEC2, body="wav2vec2", num_repeats=1))
    copy_teacher(student, {"pos_conv.weight": torch.randn_like(student.pos_conv.weight)}, True)
    torch.nn.init.zeros_(student.pos_conv.bias)

    def compute_gradients():
        student.zero_grad()
        frames = student.front_end(torch.from_numpy(NOISE[:4_000]))
        last_states = list(student.hidden_states([frames]))[-1]
        last_states[..., 0].sum().backward()
        return {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}

    unscaled = compute_gradients()
    scale_cnn_gradients(student, 0.1)
    for name, gradient in compute_gradients().items():
        factor = 0.1 if name.startswith(("front_end.convs", "front_end.norms")) else 1.0
        torch.testing.assert_close(gradient, unscaled[name] * factor)


@pytest.mark.parametrize(
    ("architecture", "num_layers", "num_repeats", "message"),
    [
        ("cpc", 1, 4, r"expected one of \['melhubert', 'wav2vec2', 'wav2vec2_bert', 'whisper'\], got cpc; change 'parent'"),
        ("melhubert", 2, 3, "expected at most 4 layers, got 2 × 3; lower 'num_layers' or 'num_repeats'"),
        ("wav2vec2", 5, 1, "got 5 × 1; "),
    ],
)
def test_a_teacher_without_enough_layers_is_refused(architecture, num_layers, num_repeats, message):
    sizes = dict(num_layers=num_layers, num_repeats=num_repeats)
    with pytest.raises(ValueError, match=f"^here: .*{message}"):
        student_settings(dict(architecture=architecture, num_layers=4), sizes, "here")


# the stage


def write_corpus(folder):
    rows = []
    for number in range(8):
        path = folder / f"{number}.wav"
        soundfile.write(path, NOISE[number : number + 4_000 + 700 * number], 16_000, subtype="FLOAT")
        rows.append(manifest_row_of_file(path, utterance_id=f"u{number}"))
    tables.write(folder / "manifest.parquet", rows, MANIFEST)


def run_stage(teacher_folder, folder):
    preset = PRESETS["small"] | dict(num_updates=20, dropout=0.0)
    preset["data"] = dict(max_crop_frames=20, batch_frames=60, dev_fraction=0.3)
    preset["optimization"] = preset["optimization"] | dict(batches_per_update=1, warmup_updates=2, evaluate_every=10)
    folder.mkdir()
    distil_layers(
        manifests=[teacher_folder / "manifest.parquet"],
        parent_model=teacher_folder / "model.safetensors",
        parent_config=teacher_folder / "config.json",
        model=folder / "model.safetensors",
        config=folder / "config.json",
        training=folder / "training.parquet",
        roots=[teacher_folder],
        **preset,
    )


@pytest.mark.slow
def test_the_stage_writes_an_encoder_that_is_closer_to_its_teacher(teacher_folder):
    write_corpus(teacher_folder)
    first = teacher_folder / "first"
    second = teacher_folder / "second"
    for folder in (first, second):
        run_stage(teacher_folder, folder)
    assert_same_tensors(load_tensors(first / "model.safetensors"), load_tensors(second / "model.safetensors"))
    curves = [tables.read(folder / "training.parquet", TRAINING).drop_columns("seconds") for folder in (first, second)]
    assert curves[0].equals(curves[1])
    teacher, new_student = teacher_and_student(teacher_folder, num_layers=1, num_repeats=4)
    student = encoders.load(first)
    assert student.num_layers == 4
    num_parameters = sum(p.numel() for p in new_student.model.parameters())
    num_of_teacher = sum(tensor.numel() for tensor in load_tensors(teacher_folder / "model.safetensors").values())
    assert num_parameters < 0.5 * num_of_teacher
    with torch.no_grad():
        loss_before, _ = distillation_loss(new_student, teacher, WAVEFORMS, **LOSS)
        loss_after, _ = distillation_loss(student.encoder, teacher, WAVEFORMS, **LOSS)
    assert loss_after < 0.95 * loss_before


def test_no_argument_has_a_default():
    assert all(p.default is p.empty for p in inspect.signature(distil_layers).parameters.values())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_last_layer_of_a_student_learns_from_the_teacher(preset):
    sizes = PRESETS[preset]["sizes"]
    assert sizes["num_layers"] * sizes["num_repeats"] % PRESETS[preset]["layer_interval"] == 0
