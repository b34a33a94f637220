"""Train a task of SUPERB: a head on the weighted hidden states of an encoder, and what tuning trains in the encoder."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from speech2unit.encoders import load_trunk
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from superb.inputs import input_reader, read_classes, shuffled_batches, sorted_batches
from superb.labels import num_outputs, target_of
from superb.model import build_model, start_from, tensors_of_seed
from superb.schemas import DATASET
from superb.tune import tune
from training.device import choose_device
from training.fit import trained_state


def parameter_counts(model):
    """Return the numbers of trained parameters, of those among them that change the encoder, and of all parameters."""
    trained, in_encoder = model.num_trained()
    total = sum(parameter.numel() for parameter in model.parameters())
    return dict(trained_parameters=trained, encoder_parameters=in_encoder, total_parameters=total)


def tune_encoder(
    *,
    dataset,
    classes,
    hidden_states,
    warm_start,
    model,
    config,
    tuned,
    training,
    sizes,
    root,
    kind,
    tuning,
    head,
    seeds,
    batch_size,
    num_updates,
    encoder_learning_rate,
    optimization,
):
    """Stage: train the task once for each seed.

    Args:
        dataset: table of `DATASET`, the rows of the task.
        classes: table of `CLASSES`.
        hidden_states: tables of `HIDDEN_STATES` to train on; empty: the model reads waveforms.
        warm_start: list with the file `tuned` of another task, whose head and layer weights this task starts from; empty: none.
        model, config: safetensors and JSON file of the encoder.
        tuned: safetensors file to write, with the trained tensors of all seeds, such as `seed1.head.linear.weight`.
        training: table of `TRAINING` to write, the learning curves.
        sizes: JSON file to write, with the numbers of trained parameters, of those that change the encoder, and of all.
        root: root folder of the corpus.
        kind: kind of the task, such as `KS`.
        tuning: what is trained in the encoder. `method` is a key of `superb.tuning.METHODS`; the other keys depend on it:
            length, initialization, init_scale: of a prompt, see `superb.prompts.InputPrompt`.
            rank: rank of the low-rank updates (`lora`).
            bottleneck, both: of adapters, see `superb.tuning.Adapters`.
        head: the head. `architecture` is a key of `superb.heads.HEADS`; the other keys are the settings of that class:
            projection_dim, hidden_dim, num_layers, dropout, downsampling, concatenate, median_frames.
        seeds: list of seeds. The task is trained once per seed.
        batch_size: number of utterances per batch.
        num_updates: number of optimizer updates per seed.
        encoder_learning_rate: peak learning rate of all that is trained in the encoder.
        optimization: arguments of `training.fit.fit`:
            batches_per_update: number of batches whose gradients are summed.
            learning_rate: peak learning rate of the head and the layer weights.
            warmup_updates: number of updates until the peak.
            clip_norm: largest L2 norm of the gradient.
            betas: AdamW's two decay rates.
            weight_decay: AdamW's weight decay of the head and the layer weights.
            evaluate_every: number of updates between two measurements of the dev loss.

    Raises:
        ValueError: if the method or the architecture is unknown, the warm start has another head, or a loss is not finite.
    """
    folder = Path(model).parent
    device = choose_device()
    slots = read_classes(classes)
    read_inputs = input_reader(hidden_states, root, load_trunk(folder).sample_rate)
    rows = tables.read(dataset, DATASET).to_pylist()
    train_rows = [row for row in rows if row["split"] == "train"]
    dev_rows = [row for row in rows if row["split"] == "dev"]
    start_tensors = load_file(warm_start[0]) if warm_start else {}

    def make_batch(rows, positions):
        batch_rows = [rows[position] for position in positions]
        return read_inputs(batch_rows), [target_of(row["labels"], slots, kind) for row in batch_rows]

    def train_batches(seed, number):
        rng = np.random.default_rng([seed, number])
        for positions in shuffled_batches([row["num_samples"] for row in train_rows], batch_size, rng):
            yield make_batch(train_rows, positions)

    dev_positions = sorted_batches([row["num_samples"] for row in dev_rows], batch_size)
    dev_batches = [make_batch(dev_rows, positions) for positions in dev_positions]
    tensors = {}
    curves = []
    for seed in seeds:
        torch.manual_seed(seed)
        task_model = build_model(folder, tuning=tuning, head=head, num_outputs=num_outputs(slots)).to(device)
        if warm_start:
            start_from(task_model, tensors_of_seed(start_tensors, seed))
        curves += tune(
            task_model,
            batches=partial(train_batches, seed),
            dev_batches=dev_batches,
            num_updates=num_updates,
            encoder_learning_rate=encoder_learning_rate,
            optimization=optimization,
            seed=seed,
        )
        tensors |= {f"seed{seed}.{name}": tensor for name, tensor in trained_state(task_model).items()}
    save_tensors(tuned, tensors)
    tables.write(training, curves, TRAINING)
    save_config(sizes, parameter_counts(task_model))
