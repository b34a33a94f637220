"""Sampling: what the prompted unit LM says after every dev and test row."""

from speech2unit import tables
from speech2unit.device import choose_device
from speech2unit.progress import progress
from ulm.build_vocabulary import END
from ulm.data import length_batches
from ulm.decode import greedy, legal_continuations
from ulm.model import load
from ulm.prompt import DeepPrompt
from ulm.schemas import BINARIZED, SAMPLES, VOCABULARY


def load_prompts(path, lm):
    """Seed → `DeepPrompt`, from the file that `tune_prompt` writes."""
    from safetensors.torch import load_file

    found = {}
    for name, tensor in load_file(path).items():
        seed, _, key = name.partition(".")
        found.setdefault(int(seed.removeprefix("seed")), {})[key] = tensor
    prompts = {}
    for seed, tensors in sorted(found.items()):
        prompts[seed] = DeepPrompt(lm.config, tensors["keys"].shape[1]).eval()
        prompts[seed].load_state_dict(tensors)
    return prompts


def legal_sequences(rows):
    """Target token sequence (with `</s>`) → its labels, over the training rows: what may be answered at all."""
    return {tuple(row["tokens"][row["num_source"] + 1 :]): row["labels"] for row in rows if row["split"] == "train"}


def sample_rows(lm, prompt, rows, sequences, symbols, *, scope, max_tokens):
    """Rows of `SAMPLES` without the seed: decoded over the legal continuations, and over the whole vocabulary."""
    following, steps = legal_continuations(sequences), max(map(len, sequences))
    for batch in progress(length_batches([len(row["tokens"]) for row in rows], max_tokens), "batches"):
        chosen = [rows[i] for i in batch]
        sources = [row["tokens"][: row["num_source"]] for row in chosen]
        said, scores = greedy(lm, prompt, sources, scope=scope, max_steps=steps, following=following)
        free, _ = greedy(lm, prompt, sources, scope=scope, max_steps=steps)
        for row, tokens, score, anything in zip(chosen, said, scores, free):
            yield {name: row[name] for name in ("utterance_id", "split", "labels")} | dict(
                predicted_labels=sequences[(*tokens, END)], score=score, free_units=[symbols[t] for t in anything],
                free_labels=sequences.get((*anything, END)),
            )  # fmt: skip


def sample(*, rows, vocabulary, model, config, prompt, samples, scope, max_tokens):
    """Stage: greedy decoding of dev and test under the prompt of every seed. See `SAMPLES`."""
    table = tables.read(rows, BINARIZED).to_pylist()
    symbols = dict(zip(*(tables.read(vocabulary, VOCABULARY)[c].to_pylist() for c in ("index", "symbol"))))
    device = choose_device()
    lm, sequences = load(model, config, device), legal_sequences(table)
    rest = [row for row in table if row["split"] != "train"]
    with tables.writer(samples, SAMPLES) as out:
        for seed, tensors in load_prompts(prompt, lm).items():
            found = sample_rows(lm, tensors.to(device), rest, sequences, symbols, scope=scope, max_tokens=max_tokens)
            out.write([dict(row, seed=seed) for row in found])
