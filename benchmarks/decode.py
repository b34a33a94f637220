"""Labels of test rows from the published unit LM under a prompt: one cached pass over all, against fairseq's generator.

The peer decodes as SpeechPrompt v1 does: batches of 32, sources forced token by token, no cache. Both choose among twelve
labels of one unit, so what they predict must agree; the weights are random, but the same. Ours runs as the stage `sample`
does, with matrix products in bfloat16 where the processor has them; `ours_in_float32` is the same without.
"""

import copy

import torch

from benchmarks.peers.fairseq_lm import PUBLISHED, OverwrittenRows, dictionary, fairseq_unit_lm, generate, our_unit_lm, prompt_of
from benchmarks.peers.gsc_units import FIRST_UNIT, NUM_LABELS, NUM_UNITS, token_rows
from benchmarks.side_by_side import compare, matmul_peak, seconds
from training.device import cast_frozen, mixed_precision
from ulm.build_vocabulary import EOS
from ulm.decode import greedy, legal_continuations
from ulm.tuned import TunedLM

BATCH, LENGTH = 32, 6
FOLLOWING = legal_continuations([(FIRST_UNIT + label, EOS) for label in range(NUM_LABELS)])


def batches(num_batches):
    """Batches of 32 sources, and where they are from. Those of a batch are of one length, so that fairseq's generator can
    allow some tokens alone; the lengths are spread over the test set's.
    """
    rows, origin = token_rows()
    by_length = {}
    for source, _ in rows:
        by_length.setdefault(len(source), []).append(source.tolist())
    full = [found[:BATCH] for _, found in sorted(by_length.items()) if len(found) >= BATCH]
    return [full[(2 * i + 1) * len(full) // (2 * num_batches)] for i in range(num_batches)], origin


def listening(theirs):
    """fairseq's LM with attention four times as loud: with weights as drawn, hardly anything said depends on the source."""
    for layer in theirs.decoder.layers:
        layer.self_attn.out_proj.weight.mul_(4)
    return theirs


def same(ours, peer):
    """How many rows and different labels; raises `ValueError` where the two predict something else."""
    if ours != peer:
        raise ValueError(
            f"decode: both must predict the same labels; {sum(a != b for a, b in zip(ours, peer))} of {len(ours)} differ"
        )
    return dict(predicted_rows=len(ours), different_labels=len(set(ours)))


def against(name, peer_model, what, *, num_batches, **settings):
    """Benchmark `name`; peer_model: (fairseq's LM, ours with its prompt) → the model that fairseq's generator shall decode."""
    groups, origin = batches(num_batches)
    theirs, words = listening(fairseq_unit_lm(PUBLISHED, seed=0)), dictionary(NUM_UNITS)
    lm = our_unit_lm(theirs, PUBLISHED)
    tuned, device = TunedLM(lm, prompt_of(lm, LENGTH, seed=0), "all", label_smoothing=0.0), torch.device("cpu")
    model, cast = peer_model(theirs, tuned), copy.deepcopy(tuned)
    cast_frozen(cast.requires_grad_(False), device)

    def labels_of(tuned):
        found = [greedy(tuned, group, max_steps=2, following=FOLLOWING)[0] for group in groups]
        return [label for said in found for (label,) in said]

    def ours():
        with mixed_precision(device):
            return labels_of(cast)

    def peer():
        return [label for group in groups for label in generate(model, words, group, NUM_LABELS)]

    def check(our_labels, peer_labels):
        taken, labels = min((seconds(lambda: labels_of(tuned)) for _ in range(3)), key=lambda timed: timed[0])
        return same(our_labels, peer_labels) | same(labels, peer_labels) | dict(ours_in_float32=taken / len(labels))

    compare(
        name,
        ours,
        peer,
        what=what,
        unit="s/row",
        items=BATCH * num_batches,
        check=check,
        rows=origin,
        units_a_row=[len(group[0]) for group in groups],
        peak_per_second=matmul_peak(torch.get_num_threads(), torch.float32),
        **settings,
    )


if __name__ == "__main__":
    against(
        "decode",
        lambda theirs, tuned: OverwrittenRows(theirs, tuned.prompt),
        num_batches=2,
        runs=3,
        peer_runs=1,
        aim=40,
        what="label of a test row, 151 M unit LM in bfloat16, prompts of length 6; peer: fairseq's generator in float32, source forced, no cache",
    )
