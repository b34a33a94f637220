"""Distillation of posteriors: a smaller MelHuBERT with random initialization learns the posteriors of its teacher.

**Source:** arXiv 2211.09949, section 3.4; the loss is the one of arXiv 1503.02531.
"""

from dataclasses import replace

import torch

from speech2unit.encoders.models.melhubert import MelHuBERTModel
from speech2unit.recipes.compress_encoder import load_parent
from speech2unit.recipes.objectives import teacher_posteriors
from speech2unit.recipes.speech_batches import training_rows
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device


def distil_posteriors(
    *,
    parent_model,
    parent_config,
    manifests,
    model,
    config,
    training,
    roots,
    sizes,
    initialization,
    temperature,
    masked,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: train a student whose teacher is the parent.

    Args:
        sizes: sizes of the student; all others are those of the teacher:
            num_layers: number of transformer blocks.
            dim: width of the hidden states.
            ffn_dim: width of the feed-forward layers.
            num_heads: attention heads per block; divides `dim`.
        initialization: how the matrices of the student's blocks start, see `MelHuBERTModel.initialize_blocks`.
        temperature: temperature of both softmaxes.
        masked: whether the same frames are masked for student and teacher, and the loss is over these frames. Otherwise no frame
            is masked, and the loss is over all frames.
        num_updates: number of optimizer updates.

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
    """
    torch.manual_seed(seed)
    teacher, settings = load_parent(parent_model, parent_config)
    student = MelHuBERTModel(replace(teacher.model.config, **sizes), dropout)
    student.initialize_blocks(initialization)
    student.to(choose_device())
    rows = list(training_rows(manifests, roots))
    data_settings = {name: value for name, value in data.items() if name != "unmasked_weight"}
    objective = teacher_posteriors(
        student, teacher.model, teacher.front_end, rows, temperature=temperature, masked=masked, **data_settings, seed=seed
    )
    curve = objective.train(student, num_updates=num_updates, optimization=optimization, seed=seed)
    save_tensors(model, student.state_dict() | teacher.front_end_tensors)
    settings_of_student = {name: value for name, value in settings.items() if name != "layers"} | sizes
    save_config(config, settings_of_student)
    tables.write(training, curve, TRAINING)
