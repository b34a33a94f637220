"""Training of a SUPERB task: a head on the weighted hidden states of an encoder, and what its way of tuning puts into it."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from speech2unit.encoders import load_trunk
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from superb.inputs import num_outputs, read_classes, reader, shuffled_batches, sorted_batches, target_of
from superb.model import build_model, start_from
from superb.schemas import DATASET
from superb.tune import tune
from training.device import choose_device
from training.fit import trained_state


def of_seed(tensors, seed):
    """The tensors of one seed, by the names that the model has for them: `seed1.head.weight` → `head.weight`."""
    beginning = f"seed{seed}."
    return {name.removeprefix(beginning): tensor for name, tensor in tensors.items() if name.startswith(beginning)}


def sizes_of(model):
    """Numbers of trained parameters, of those among them that change what the encoder yields, and of all there are."""
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
    """Stage: what is trained for each seed, in one file as `seed{n}.head.…`, the curves (`TRAINING`) and counts of parameters.

    hidden_states: shards, or none where waveforms below `root` are read; warm_start: the `tuned` of the task whose head it starts
    from, or none; optimization: see `superb.tune.tune`.
    """
    folder, device, known, tensors, curves = Path(model).parent, choose_device(), read_classes(classes), {}, []
    read = reader(hidden_states, root, load_trunk(folder).sample_rate)
    rows = tables.read(dataset, DATASET).to_pylist()
    train, dev = ([row for row in rows if row["split"] == split] for split in ("train", "dev"))
    lengths, first = [row["num_samples"] for row in train], load_file(warm_start[0]) if warm_start else {}

    def batch_of(rows, chosen):
        rows = [rows[i] for i in chosen]
        return read(rows), [target_of(row["labels"], known, kind) for row in rows]

    dev_batches = [batch_of(dev, chosen) for chosen in sorted_batches([row["num_samples"] for row in dev], batch_size)]
    for seed in seeds:
        torch.manual_seed(seed)
        task_model = build_model(folder, tuning=tuning, head=head, num_outputs=num_outputs(known)).to(device)
        if first:
            start_from(task_model, of_seed(first, seed))

        def batches(number, seed=seed):
            rng = np.random.default_rng([seed, number])
            return (batch_of(train, chosen) for chosen in shuffled_batches(lengths, batch_size, rng))

        curves += tune(
            task_model,
            batches=batches,
            dev_batches=dev_batches,
            num_updates=num_updates,
            encoder_learning_rate=encoder_learning_rate,
            optimization=optimization,
            seed=seed,
        )
        tensors |= {f"seed{seed}.{name}": tensor for name, tensor in trained_state(task_model).items()}
    save_tensors(tuned, tensors)
    tables.write(training, curves, TRAINING)
    save_config(sizes, sizes_of(task_model))
