"""Distillation of a DistilALHuBERT: its passes learn the hidden states of the teacher's layers, from the first few of which it starts."""

from pathlib import Path

import torch

from speech2unit import encoders
from speech2unit.encoders.architectures.distilalhubert import BODIES, build, encoder_of
from speech2unit.recipes.fit_log_mel import training_rows
from speech2unit.recipes.objectives import layer_losses, objective, random_segment, read_waveforms
from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.schemas import TRAINING
from storage.weights import load_tensors, save_config, save_tensors
from training.device import choose_device
from training.fit import fit

NORMS = ("front_end.frame_norm.", "input_norm.", "layer_norm.")  # of the frames and of the first block's input
CNN = ("front_end.convs.", "front_end.norms.")


def distillation_loss(student, teacher, waveforms, layers, cosine_weight):
    """`layer_losses` of a batch of waveforms `[N_i]`; nothing of the teacher is trained, dropped, masked or of low precision."""
    with torch.no_grad(), torch.autocast(torch.device(teacher.device).type, enabled=False):
        targets, lengths = teacher.hidden_states(waveforms)
    return layer_losses(student.hidden_states(waveforms)[0], targets, lengths, layers, cosine_weight)


def student_settings(teacher, sizes, place):
    """Return the config.json of a student.

    Args:
        teacher: config.json of its teacher.
        sizes: `num_layers` that differ, and `num_repeats`, how many times they run.
        place: file that an error names.

    Raises:
        ValueError: where a layer of the student has no layer of the teacher to learn from.
    """
    if teacher["architecture"] not in BODIES:
        raise data_error(
            place,
            "a teacher is a transformer whose layers can be shared",
            expected=f"one of {sorted(BODIES)}",
            got=f"{teacher['architecture']}",
            remedy="change 'parent' in config/encoders.tsv",
        )
    num_layers, num_repeats = sizes["num_layers"], sizes["num_repeats"]
    if num_layers * num_repeats > teacher["num_layers"]:
        raise data_error(
            place,
            "each layer of the student learns from a layer of the teacher",
            expected=f"at most {teacher['num_layers']} layers",
            got=f"{num_layers} × {num_repeats}",
            remedy="lower 'num_layers' or 'num_repeats' in 'sizes' of the preset of distil_layers",
        )
    settings = teacher | dict(architecture="distilalhubert", body=teacher["architecture"]) | sizes
    if "num_targets" in teacher:
        settings["num_targets"] = []  # no heads for pseudo-labels
    return settings


def start(student, tensors, norms_from_teacher):
    """Give a student the tensors of its teacher that have its names: everything but heads and higher layers.

    norms_from_teacher: also the norms of the frames and of the first block's input, which the published code leaves out.
    """
    with torch.no_grad():
        wanted = student.state_dict()
        for name, tensor in tensors.items():
            if name in wanted and (norms_from_teacher or not name.startswith(NORMS)):
                wanted[name].copy_(tensor)
        if "pos_conv.weight" in tensors:  # without the weight norm that the student trains with
            student.pos_conv.weight = tensors["pos_conv.weight"]


def slow_down_cnn(student, factor):
    """Gradients of the convolutions over the waveform are multiplied by `factor`."""
    for name, parameter in student.named_parameters():
        if name.startswith(CNN):
            parameter.register_hook(lambda gradient: gradient * factor)


def distil_layers(
    *,
    manifests,
    parent_model,
    parent_config,
    model,
    config,
    training,
    roots,
    sizes,
    layer_interval,
    cosine_weight,
    norms_from_teacher,
    cnn_gradient_factor,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: distil the parent, the teacher, on the training splits of several corpora.

    Args:
        manifests: one manifest per corpus; `roots` has its folders.
        parent_model, parent_config: the two files of the teacher.
        model, config, training: files to write: tensors, settings, training curve.
        sizes: `num_layers` of the student, the first ones of the teacher, and `num_repeats`, how many times they run.
        layer_interval: layers `layer_interval`, `2 * layer_interval`, … of the student learn from the teacher.
        cosine_weight: see `layer_losses`.
        norms_from_teacher: see `start`.
        cnn_gradient_factor: factor of the gradients of the convolutions over the waveform.
        data: settings of `objectives.objective`.
        optimization: settings of `training.fit.fit`.
    """
    torch.manual_seed(seed)
    device = choose_device()
    tensors = load_tensors(parent_model)
    settings = student_settings(read_json(parent_config), sizes, parent_config)
    teacher = encoders.load(Path(parent_model).parent, device)
    student = build(settings, dropout)
    start(student, tensors, norms_from_teacher)
    slow_down_cnn(student, cnn_gradient_factor)
    encoder = encoder_of(student, getattr(teacher, "front_end", None), device)
    layers = range(layer_interval, sizes["num_layers"] * sizes["num_repeats"] + 1, layer_interval)

    def make(chosen, rng):
        return [random_segment(waveform, data["max_crop_frames"], rng) for waveform, _ in read_waveforms(chosen)]

    def loss(batch):
        return distillation_loss(encoder, teacher, batch, layers, cosine_weight)

    learned = objective(list(training_rows(manifests, roots)), make, loss, loss, **data, seed=seed)
    curve = fit(
        student,
        loss=learned.loss,
        batches=learned.batches,
        evaluate=learned.evaluate,
        num_updates=num_updates,
        rate_factors={},
        seed=seed,
        **optimization,
    )
    front_end = {name: tensors[name] for name in ("mean", "std") if settings["body"] == "melhubert"}
    save_tensors(model, student.state_dict() | front_end)
    save_config(config, settings)
    tables.write(training, curve, TRAINING)
