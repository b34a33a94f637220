"""Sampling: what the prompted unit LM says after every dev and test row."""

import numpy as np

from evaluation.metrics import METRICS
from storage import tables
from storage.progress import progress
from training.device import cast_frozen, choose_device, mixed_precision
from ulm.answers import ListedAnswers, open_answers
from ulm.augment_units import UnitAugmentation, augment, substitution_table
from ulm.build_vocabulary import index_of_unit
from ulm.data import length_batches
from ulm.decode import beam, begin, greedy
from ulm.schemas import BINARIZED, SAMPLES, VOCABULARY
from ulm.tuned import answer_tokens, load_tuned
from verbalizer.schemas import VERBALIZER


def sample_rows(tuned, rows, answers, symbols, vary, *, max_tokens, beam_size, length_penalty):
    """Rows of `SAMPLES` without the seed: decoded over the legal continuations, and greedily over the whole vocabulary.

    vary: row → the sources `u1 … uN` that are read for it together, the same number for each row.
    """
    copies = len(vary(rows[0])) if rows else 1
    how = dict(max_steps=answers.max_steps, following=answers)
    for batch in progress(length_batches([len(row["tokens"]) for row in rows], max_tokens // beam_size // copies), "batches"):
        chosen = [rows[i] for i in batch]
        sources = [source for row in chosen for source in vary(row)]
        begun = begin(tuned, sources)
        if beam_size == 1:
            said, scores = greedy(tuned, sources, begun=begun, copies=copies, **how)
        else:
            said, scores = beam(tuned, sources, begun=begun, beam_size=beam_size, length_penalty=length_penalty, **how)
        free, _ = greedy(tuned, sources, begun=begun, copies=copies, max_steps=answers.max_steps)
        for row, tokens, score, anything in zip(chosen, said, scores, free):
            yield {name: row[name] for name in ("utterance_id", "split", "labels")} | dict(
                predicted_labels=answers.labels(tokens),
                score=score,
                free_units=[symbols[t] for t in anything],
                free_labels=answers.labels(anything),
            )


def source_variants(rows, vocabulary_size, *, num_variants, augmentation):
    """Function: row → its source `u1 … uN`, and `num_variants` of it as it might have come out, the same whenever it is asked.

    Units are confused as those of the training rows suggest. **Source:** test-time augmentation, Krizhevsky et al. 2012
    (NIPS), section 4.1; here with the changes that the prompt was trained under.
    """
    how, sources = UnitAugmentation(**augmentation), [source_of(row) for row in rows if row["split"] == "train"]
    table = substitution_table(sources, vocabulary_size) if num_variants else None

    def vary(row):
        rng = np.random.default_rng(list(row["utterance_id"].encode()))
        return [source_of(row), *(augment(source_of(row), how, table, rng) for _ in range(num_variants))]

    return vary


def source_of(row):
    """Tokens `u1 … uN` of a binarized row."""
    return np.array(row["tokens"][: row["num_source"]])


def sample(
    *,
    rows,
    verbalizer,
    vocabulary,
    model,
    config,
    tuned_weights,
    samples,
    metric,
    scope,
    max_tokens,
    beam_size,
    length_penalty,
    max_length_factor,
    test_time_augmentation,
):
    """Stage: decoding of dev and test under the prompt of every seed; `metric` says which answers are legal. See `SAMPLES`.

    Matrix products are in bfloat16 where the device computes with it, as when the prompt was trained.
    """
    table, vocabulary = tables.read(rows, BINARIZED).to_pylist(), tables.read(vocabulary, VOCABULARY)
    symbols = dict(zip(*(vocabulary[c].to_pylist() for c in ("index", "symbol"))))
    label_map = {row["label"]: row["units"] for row in tables.read(verbalizer, VERBALIZER).to_pylist()}
    if METRICS[metric].open_answers:
        answers = open_answers(table, label_map, index_of_unit(vocabulary), max_length_factor)
    else:
        answers = ListedAnswers(table)
    how = dict(max_tokens=max_tokens, beam_size=beam_size, length_penalty=length_penalty)
    device, trained_on = choose_device(), answer_tokens(table)
    rest, vary = [row for row in table if row["split"] != "train"], source_variants(table, len(symbols), **test_time_augmentation)
    # Loaded before the context begins, which keeps its first cast of a trained parameter whatever is loaded into it later.
    by_seed = load_tuned(tuned_weights, model, config, scope=scope, answers=trained_on, device=device)
    with tables.writer(samples, SAMPLES) as out, mixed_precision(device):
        for seed, tuned in by_seed.items():
            cast_frozen(tuned.lm, device)
            out.write([dict(row, seed=seed) for row in sample_rows(tuned, rest, answers, symbols, vary, **how)])
