"""Sampling: what the prompted unit LM says after every dev and test row."""

from speech2unit import tables
from speech2unit.device import choose_device
from speech2unit.progress import progress
from ulm.build_vocabulary import END
from ulm.data import length_batches
from ulm.decode import greedy, legal_continuations
from ulm.schemas import BINARIZED, SAMPLES, VOCABULARY
from ulm.tuned import answer_tokens, load_tuned


def legal_sequences(rows):
    """Target token sequence (with `</s>`) → its labels, over the training rows: what may be answered at all."""
    return {tuple(row["tokens"][row["num_source"] + 1 :]): row["labels"] for row in rows if row["split"] == "train"}


def sample_rows(tuned, rows, sequences, symbols, *, max_tokens):
    """Rows of `SAMPLES` without the seed: decoded over the legal continuations, and over the whole vocabulary."""
    following, steps = legal_continuations(sequences), max(map(len, sequences))
    for batch in progress(length_batches([len(row["tokens"]) for row in rows], max_tokens), "batches"):
        chosen = [rows[i] for i in batch]
        sources = [row["tokens"][: row["num_source"]] for row in chosen]
        said, scores = greedy(tuned, sources, max_steps=steps, following=following)
        free, _ = greedy(tuned, sources, max_steps=steps)
        for row, tokens, score, anything in zip(chosen, said, scores, free):
            yield {name: row[name] for name in ("utterance_id", "split", "labels")} | dict(
                predicted_labels=sequences[(*tokens, END)], score=score, free_units=[symbols[t] for t in anything],
                free_labels=sequences.get((*anything, END)),
            )  # fmt: skip


def sample(*, rows, vocabulary, model, config, prompt, samples, scope, max_tokens):
    """Stage: greedy decoding of dev and test under the prompt of every seed. See `SAMPLES`."""
    table = tables.read(rows, BINARIZED).to_pylist()
    symbols = dict(zip(*(tables.read(vocabulary, VOCABULARY)[c].to_pylist() for c in ("index", "symbol"))))
    sequences, answers = legal_sequences(table), answer_tokens(table)
    rest = [row for row in table if row["split"] != "train"]
    with tables.writer(samples, SAMPLES) as out:
        for seed, tuned in load_tuned(prompt, model, config, scope=scope, answers=answers, device=choose_device()).items():
            found = sample_rows(tuned, rest, sequences, symbols, max_tokens=max_tokens)
            out.write([dict(row, seed=seed) for row in found])
