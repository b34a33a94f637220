"""Decoding: one pass over the source under the prompt, then token by token from the cache."""

import torch

from ulm.build_vocabulary import END, PAD, SEPARATOR
from ulm.data import pad_rows
from ulm.prompt import read_source, target_logits


def legal_continuations(sequences):
    """Token sequences (each ending in `</s>`) → prefix → set of tokens that may follow: `() → {12, 7}`, `(12,) → {2}`."""
    following = {}
    for sequence in sequences:
        for i, token in enumerate(sequence):
            following.setdefault(tuple(sequence[:i]), set()).add(token)
    return following


@torch.no_grad()
def greedy(tuned, sources, *, max_steps, following=None):
    """Token sequences that a `Tuned` unit LM says after `u1 … uN <s>` of each source `u1 … uN`, and their log probabilities.

    `following`: `legal_continuations(...)`: the most probable legal token is taken, with its probability among the legal
    ones; without it any token may come, until `</s>` or `max_steps` tokens. `</s>` is not part of the result.
    """
    lm, separator = tuned.lm, tuned.prompt.separator
    tokens = pad_rows([[END, *source] for source in sources], separator.device)
    past, visible = read_source(lm, tuned.prompt, tokens, tuned.scope)
    starts = (tokens != PAD).sum(1, keepdim=True)
    said, scores, done = [[] for _ in sources], [0.0] * len(sources), [False] * len(sources)
    chosen = torch.full_like(starts, SEPARATOR)
    for step in range(max_steps):
        if following and all(over or following[tuple(row)] == {END} for row, over in zip(said, done)):
            break  # every row must end here
        logits, past = target_logits(lm, separator, chosen, starts + step, past, visible)
        visible = torch.cat([visible, torch.ones_like(chosen, dtype=torch.bool)], 1)
        logits = tuned.verbalizer(logits) if tuned.verbalizer else logits
        chosen = _choose(logits[:, -1], said, done, scores, following)
        if all(done):
            break
    return said, scores


def _choose(logits, said, done, scores, following):
    """Append the best next token to every unfinished row, in place; returns the tokens `[B, 1]` to feed."""
    chosen = torch.full((len(said),), END, device=logits.device)
    for i, row in enumerate(logits):
        if done[i]:
            continue
        legal = sorted(following[tuple(said[i])]) if following else list(range(len(row)))
        log_probabilities = row[legal].float().log_softmax(-1)
        best = int(log_probabilities.argmax())
        scores[i] += float(log_probabilities[best])
        if legal[best] == END:
            done[i] = True
        else:
            said[i].append(legal[best])
            chosen[i] = legal[best]
    return chosen[:, None]
