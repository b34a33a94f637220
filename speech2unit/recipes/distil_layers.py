"""Distillation of a DistilALHuBERT: a student with few layers, run several times, learns the hidden states of its teacher.

**Source:** DistilALHuBERT; see `speech2unit.encoders.architectures.distilalhubert`.
"""

from pathlib import Path

import torch

from speech2unit import encoders
from speech2unit.encoders.architectures.distilalhubert import BODIES, build_model
from speech2unit.recipes.objectives import build_objective, layer_losses
from speech2unit.recipes.speech_batches import random_segment, read_waveforms, training_rows
from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.schemas import TRAINING
from storage.weights import load_tensors, save_config, save_tensors
from training.device import choose_device

# First parts of tensor names.
NORMS = ("front_end.frame_norm.", "input_norm.", "layer_norm.")  # layer norms before the first block
CONVOLUTIONS = ("front_end.convs.", "front_end.norms.")  # convolutions over the waveform, and their norms


def distillation_loss(student, teacher, waveforms, layers, cosine_weight):
    """Return the distance of the student's hidden states from the teacher's, and the number of frames; see `layer_losses`.

    The teacher is not trained, and computes in float32.

    Args:
        student, teacher: encoders with `hidden_states`.
        waveforms: list of waveforms `[N_i]`, float32 at 16 kHz.
        layers: numbers of the layers to compare.
        cosine_weight: see `layer_losses`.
    """
    with torch.no_grad(), torch.autocast(torch.device(teacher.device).type, enabled=False):
        teacher_states, lengths = teacher.hidden_states(waveforms)
    states, _ = student.hidden_states(waveforms)
    return layer_losses(states, teacher_states, lengths, layers, cosine_weight)


def student_settings(teacher, sizes, place):
    """Return the config.json of a student.

    Args:
        teacher: content of the teacher's config.json.
        sizes: `num_layers` and `num_repeats`, see `distil_layers`.
        place: path of the teacher's config.json, for the error message.

    Raises:
        ValueError: if the teacher is not a transformer, or has fewer layers than `num_layers` times `num_repeats`.
    """
    if teacher["architecture"] not in BODIES:
        raise data_error(
            place,
            "a teacher is a transformer whose layers can be shared",
            expected=f"one of {sorted(BODIES)}",
            got=f"{teacher['architecture']}",
            remedy="change 'parent' in config/encoders.tsv",
        )
    num_layers = sizes["num_layers"]
    num_repeats = sizes["num_repeats"]
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


def copy_teacher(student, tensors, norms_from_teacher):
    """Copy the teacher's tensors to a student, except for heads and for layers that the student does not have.

    Args:
        student: the model of `distilalhubert.build_model`.
        tensors: tensors of the teacher by name.
        norms_from_teacher: whether the layer norms before the first block are copied as well; the published code does not.
    """
    with torch.no_grad():
        student_tensors = student.state_dict()
        for name, tensor in tensors.items():
            if name in student_tensors and (norms_from_teacher or not name.startswith(NORMS)):
                student_tensors[name].copy_(tensor)
        if "pos_conv.weight" in tensors:
            # The student's weight is normalized: this assignment sets the two tensors that it is computed from.
            student.pos_conv.weight = tensors["pos_conv.weight"]


def scale_cnn_gradients(student, factor):
    """Multiply all future gradients of the convolutions over the waveform by `factor`."""
    for name, parameter in student.named_parameters():
        if name.startswith(CONVOLUTIONS):
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
    """Stage: train a DistilALHuBERT whose teacher is the parent.

    Args:
        sizes: the student's layers:
            num_layers: number of different layers, which start as the first layers of the teacher.
            num_repeats: number of times that these layers run in turn.
        layer_interval: layers `layer_interval`, `2 * layer_interval`, … of the student learn from the layers of the teacher with
            the same numbers.
        cosine_weight: weight of −log σ(cosine similarity) in the loss; the mean squared error has weight 1.
        norms_from_teacher: whether the layer norms before the first block start from the teacher's.
        cnn_gradient_factor: factor of the gradients of the convolutions over the waveform.
        num_updates: number of optimizer updates.
        data: the batches:
            max_crop_frames: longer utterances are cropped to this number of frames.
            batch_frames: number of frames per batch.
            dev_fraction: fraction of the utterances that is held out to measure the dev loss, from 0 to 1.

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
    """
    torch.manual_seed(seed)
    device = choose_device()
    tensors = load_tensors(parent_model)
    settings = student_settings(read_json(parent_config), sizes, parent_config)
    teacher = encoders.load(Path(parent_model).parent, device)
    student = build_model(settings, dropout)
    copy_teacher(student, tensors, norms_from_teacher)
    scale_cnn_gradients(student, cnn_gradient_factor)
    encoder = teacher.with_model(student)
    layers = range(layer_interval, sizes["num_layers"] * sizes["num_repeats"] + 1, layer_interval)

    def make_batch(rows, rng):
        return [random_segment(waveform, data["max_crop_frames"], rng) for waveform, _ in read_waveforms(rows)]

    def loss(batch):
        return distillation_loss(encoder, teacher, batch, layers, cosine_weight)

    objective = build_objective(list(training_rows(manifests, roots)), make_batch, loss, loss, **data, seed=seed)
    curve = objective.train(student, num_updates=num_updates, optimization=optimization, seed=seed)
    save_tensors(model, student.state_dict() | teacher.front_end_tensors)
    save_config(config, settings)
    tables.write(training, curve, TRAINING)
