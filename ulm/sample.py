"""Decode every dev and test row with the tuned unit LM.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

import numpy as np

from evaluation.metrics import METRICS
from storage import tables
from storage.progress import progress
from training.device import cast_frozen, choose_device, mixed_precision
from ulm.answers import ListedAnswers, open_answers
from ulm.augment_units import substitution_table
from ulm.build_vocabulary import index_of_unit
from ulm.data import length_batches
from ulm.decode_answers import Variants, decode_answers
from ulm.schemas import BINARIZED, SAMPLES, VOCABULARY
from ulm.tuned import answer_tokens, load_tuned
from verbalizer.schemas import VERBALIZER


def sample_rows(tuned, rows, answers, symbols, variants, *, max_tokens, beam_size, length_penalty):
    """Yield rows of `SAMPLES` without the seed: each row decoded among the answers, and freely over the whole vocabulary.

    Args:
        tuned: a `TunedLM`.
        rows: rows of `BINARIZED` to decode.
        answers: `ListedAnswers` or `OpenAnswers`.
        symbols: dict from a vocabulary index to its symbol.
        variants: `Variants` of each source.
        max_tokens: maximum number of tokens per batch, those of all hypotheses and variants included.
        beam_size, length_penalty: see `decode_answers`.
    """
    num_sources = variants.sources_per_row
    lengths = [len(row["tokens"]) for row in rows]
    for positions in progress(length_batches(lengths, max_tokens // beam_size // num_sources), "batches"):
        batch = [rows[i] for i in positions]
        sources = [source for row in batch for source in variants(source_of(row), row["utterance_id"])]
        settings = dict(sources_per_row=num_sources, beam_size=beam_size, length_penalty=length_penalty)
        for row, answer in zip(batch, decode_answers(tuned, answers, sources, **settings)):
            yield dict(
                utterance_id=row["utterance_id"],
                split=row["split"],
                labels=row["labels"],
                predicted_labels=answer.labels,
                score=answer.score,
                free_units=[symbols[token] for token in answer.free_tokens],
                free_labels=answer.free_labels,
            )


def task_variants(rows, vocabulary_size, *, num_variants, augmentation):
    """Return the `Variants` of a task.

    Args:
        rows: rows of `BINARIZED`; the training rows determine which units are similar (see `substitution_table`).
        vocabulary_size: number of vocabulary indices.
        num_variants, augmentation: see `Variants`.
    """
    table = None
    if num_variants:
        table = substitution_table([source_of(row) for row in rows if row["split"] == "train"], vocabulary_size)
    return Variants(num_variants, augmentation, table)


def source_of(row):
    """Return the tokens `u1 … uN` of a row of `BINARIZED`."""
    return np.array(row["tokens"][: row["num_source"]])


def answers_of(rows, metric, label_map, index_of, max_length_factor):
    """Return the answers that may be decoded: an `OpenAnswers` or a `ListedAnswers`.

    Args:
        rows: rows of `BINARIZED`.
        metric: name of one of `METRICS`; its attribute `open_answers` decides which of the two.
        label_map, index_of, max_length_factor: see `open_answers`.
    """
    if METRICS[metric].open_answers:
        return open_answers(rows, label_map, index_of, max_length_factor)
    return ListedAnswers(rows)


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
    """Stage: decode the dev and test rows with the prompt of every seed. See `SAMPLES`.

    Matrix products are in bfloat16 if the device computes with it, as during prompt tuning.

    Args:
        rows: table of `BINARIZED`.
        verbalizer, vocabulary: tables of `VERBALIZER` and `VOCABULARY`.
        model, config: safetensors and JSON file of the unit LM.
        tuned_weights: safetensors file that `tune_prompt` wrote.
        samples: table of `SAMPLES` to write.
        metric: name of one of `METRICS`, see `answers_of`.
        scope: scope of the prompt, `all` or `target`, see `read_source`.
        max_tokens: maximum number of tokens per batch, counting all hypotheses and variants.
        beam_size: number of hypotheses per utterance; 1: greedy decoding.
        length_penalty: exponent of the length normalization in beam search.
        max_length_factor: maximum number of labels of an open answer, relative to the longest training answer.
        test_time_augmentation: the variants whose probabilities are averaged with those of the source:
            num_variants: number of variants per source; 0: none.
            augmentation: fields of `UnitAugmentation`.
    """
    binarized = tables.read(rows, BINARIZED).to_pylist()
    vocabulary_table = tables.read(vocabulary, VOCABULARY)
    symbols = dict(zip(vocabulary_table["index"].to_pylist(), vocabulary_table["symbol"].to_pylist()))
    label_map = {row["label"]: row["units"] for row in tables.read(verbalizer, VERBALIZER).to_pylist()}
    answers = answers_of(binarized, metric, label_map, index_of_unit(vocabulary_table), max_length_factor)
    variants = task_variants(binarized, len(symbols), **test_time_augmentation)
    to_decode = [row for row in binarized if row["split"] != "train"]
    device = choose_device()
    # Load before entering mixed_precision: autocast keeps its first cast of a parameter and would ignore what is loaded later.
    by_seed = load_tuned(tuned_weights, model, config, scope=scope, answers=answer_tokens(binarized), device=device)
    with tables.writer(samples, SAMPLES) as out, mixed_precision(device):
        for seed, tuned in by_seed.items():
            cast_frozen(tuned.lm, device)
            decoded = sample_rows(
                tuned,
                to_decode,
                answers,
                symbols,
                variants,
                max_tokens=max_tokens,
                beam_size=beam_size,
                length_penalty=length_penalty,
            )
            out.write([dict(row, seed=seed) for row in decoded])
