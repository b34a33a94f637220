"""The bundle of a task on a unit LM: everything that labels new recordings, in one folder."""

from functools import partial
from pathlib import Path

import numpy as np

from inference.bundle_files import write_bundle
from inference.card import card
from speech2unit import projection as projections
from speech2unit.assign_units import load_centroids
from speech2unit.encoders import layers_up_to
from storage import provenance, tables
from storage.files import read_json
from ulm.answers import ListedAnswers
from ulm.build_vocabulary import index_of_unit
from ulm.causal_lm import extra_packages
from ulm.sample import answers_of, task_variants
from ulm.schemas import BINARIZED, PIECES, VOCABULARY
from ulm.tuned import answer_tokens
from verbalizer.schemas import VERBALIZER


def bundle(
    *,
    acc,
    rows,
    verbalizer,
    vocabulary,
    model,
    config,
    tuned_weights,
    codebook,
    encoder,
    pieces,
    bundle,
    codebook_name,
    num_units,
    parts,
    scope,
    metric,
    decoding,
):
    """Stage: write the bundle of a task. See `inference.bundle_files`.

    Args:
        acc: acc.json of the task, for its metrics.
        rows, verbalizer, vocabulary: tables of `BINARIZED`, `VERBALIZER` and `VOCABULARY`.
        model, config: files of the unit LM.
        tuned_weights: file that `tune_prompt` has written.
        codebook: centroids.parquet, projection.parquet and config.json of the codebook; empty if the units are published ones.
        encoder: model.safetensors and config.json of its encoder; or empty.
        pieces: pieces.model and pieces.parquet of the unit LM; empty if it reads units.
        bundle: folder to write.
        codebook_name, num_units: of the codebook.
        parts: dicts `part`, `name`, `origin`, `licence`: one for each part.
        scope: see `ulm.prompt.read_source`.
        metric: the task's first metric.
        decoding: the preset of `sample`.
    """
    import torch
    from safetensors.torch import load_file

    binarized = tables.read(rows, BINARIZED).to_pylist()
    vocabulary_table = tables.read(vocabulary, VOCABULARY).sort_by("index")
    label_map = {row["label"]: row["units"] for row in tables.read(verbalizer, VERBALIZER).to_pylist()}
    answers = answers_of(binarized, metric, label_map, index_of_unit(vocabulary_table), decoding["max_length_factor"])
    symbols = vocabulary_table["symbol"].to_pylist()
    variants = task_variants(binarized, len(symbols), **decoding["test_time_augmentation"])
    tensors = {"tuned.safetensors": load_file(tuned_weights), "unit_lm/model.safetensors": load_file(model)}
    if variants.table is not None:
        tensors["substitutes.safetensors"] = dict(table=torch.from_numpy(variants.table))
    codebook_settings = dict(name=codebook_name, num_units=num_units)
    saved_encoder = None
    if codebook:
        centroids, projection, codebook_config = codebook
        settings = read_json(codebook_config)
        codebook_settings |= dict(layer=settings["layer"], context_frames=settings["context_frames"])
        tensors["codebook.safetensors"] = _codebook_tensors(centroids, projection, settings["context_frames"])
        saved_encoder = layers_up_to(Path(encoder[0]).parent, settings["layer"])
    unit_rows = None
    if pieces:
        piece_model, piece_table = pieces
        tensors["pieces.safetensors"] = dict(sentencepiece=torch.from_numpy(np.fromfile(piece_model, np.uint8)))
        unit_rows = tables.read(piece_table, PIECES).sort_by("piece")["units"].to_pylist()
    sizes = {name: value for name, value in read_json(config).items() if name not in (provenance.KEY, "num_parameters")}
    task = dict(
        symbols=symbols,
        units=vocabulary_table["unit"].to_pylist(),
        pieces=unit_rows,
        scope=scope,
        answer_tokens=answer_tokens(binarized),
        answers=_answers_as_json(answers),
        decoding={name: decoding[name] for name in ("beam_size", "length_penalty", "max_tokens")},
        test_time_augmentation=decoding["test_time_augmentation"],
    )
    is_listed = isinstance(answers, ListedAnswers)
    labels = {" ".join(labels) for labels in answers.sequences.values()} if is_listed else set(answers.label_of.values())
    description = task_description(read_json(acc)) | dict(
        kind="prompt",
        input_kind="audio" if codebook else "units",
        answer_kind="class" if is_listed else "sequence",
        labels=sorted(labels),
        codebook=codebook_settings,
        encoder=saved_encoder and saved_encoder[0]["architecture"],
        extra_packages=extra_packages(sizes, tensors["tuned.safetensors"]),
        parts=parts,
    )
    write_bundle(
        bundle,
        description,
        json_files={"task.json": task, "unit_lm/config.json": sizes},
        tensors=tensors,
        encoder=saved_encoder,
        card=partial(card, description),
    )


def task_description(report):
    """Return what a bundle's description takes from acc.json or score.json: name, metrics with intervals, seeds, versions."""
    by_seed = {int(seed): value for seed, value in report["dev"]["value_by_seed"].items()}
    sign = 1 if report["higher_is_better"] else -1
    best_seed = min(by_seed, key=lambda seed: (-sign * by_seed[seed], seed))
    others = [values | dict(metric=name) for name, values in report["other_metrics"].items()]
    metrics = [_metric(values) for values in (report, *others)]
    return dict(
        task=report["task"],
        corpus=report["names"]["corpus"],
        seeds=sorted(by_seed),
        best_seed=best_seed,
        num_test_rows=report["num_rows"],
        metrics=metrics,
        names=report["names"],
        versions=provenance.versions(),
    )


def _metric(report):
    """Return one metric of acc.json with its interval, its value on the dev split and the baselines."""
    names = ("value", "value_low", "value_high", "value_by_seed")
    return dict(
        metric=report["metric"],
        **{name: report[name] for name in names},
        dev={name: report["dev"][name] for name in names} if "dev" in report else None,
        baselines=report.get("baseline_values", {}),
    )


def _codebook_tensors(centroids, projection, context_frames):
    """Return the tensors of a codebook: `centroids` `[K, dim]` and, with a projection, its `matrix` and `offset`."""
    import torch

    tensors = dict(centroids=torch.from_numpy(load_centroids(centroids).copy()))
    project = projections.load(projection, context_frames)
    if project.matrix is not None:
        tensors |= dict(matrix=torch.from_numpy(project.matrix), offset=torch.from_numpy(project.offset))
    return tensors


def _answers_as_json(answers):
    """Return legal answers as JSON-like values, which `inference.prompt_model` reads."""
    if isinstance(answers, ListedAnswers):
        return dict(open=False, sequences=[[list(tokens), labels] for tokens, labels in answers.sequences.items()])
    label_tokens = [[label, list(tokens)] for tokens, label in answers.label_of.items()]
    return dict(open=True, label_tokens=label_tokens, max_labels=answers.max_labels)
