"""Decoding: one pass over the source under the prompt, then token by token from the cache."""

import math
from typing import NamedTuple

import torch

from ulm.build_vocabulary import EOS, PAD, SEPARATOR
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
def greedy(tuned, sources, *, max_steps, following=None, begun=None, copies=1):
    """Token sequences that a `Tuned` unit LM says after `u1 … uN <s>` of each source `u1 … uN`, and their log probabilities.

    `following`: prefix → tokens that may come, as `legal_continuations(...)`: the most probable legal token is taken, with
    its probability among the legal ones; without it any token may come, until `</s>` or `max_steps` tokens. `</s>` is not
    part of the result. `begun`: `begin(tuned, sources)`, where the sources were read before. `copies`: every so many sources
    are one utterance as it might have come out, and get one answer, by the mean of their probabilities.
    """
    chosen, starts, past, visible = begun or begin(tuned, sources)
    count = len(sources) // copies
    said, scores, done = [[] for _ in range(count)], [0.0] * count, [False] * count
    for step in range(max_steps):
        if following and all(over or following[tuple(row)] == {EOS} for row, over in zip(said, done)):
            break  # every row must end here
        logits, past, visible = _next_logits(tuned, chosen, starts + step, past, visible)
        best = _log_probabilities(_together(logits, copies), said, following).max(1)
        for i, (token, score) in enumerate(zip(best.indices.tolist(), best.values.tolist())):
            if not done[i]:
                scores[i] += score
                done[i] = token == EOS
                said[i] += [] if done[i] else [token]
        chosen = best.indices.repeat_interleave(copies)[:, None]
        if all(done):
            break
    return said, scores


@torch.no_grad()
def beam(tuned, sources, *, beam_size, max_steps, following=None, length_penalty=0.0, begun=None):
    """As `greedy`, but the `beam_size` most probable beginnings of each source are followed; with 1 it is `greedy`.

    What has ended makes the beam narrower, and is compared by log probability / tokens^length_penalty, `</s>` counted.
    **Source:** Wu et al. 2016, arXiv 1609.08144, section 7; the normalisation is fairseq's simpler one.
    """
    chosen, starts, past, visible = begun or begin(tuned, sources)
    live, ended = [Beginning(row, (), 0.0) for row in range(len(sources))], [[] for _ in sources]
    for step in range(max_steps):
        logits, past, visible = _next_logits(tuned, chosen, starts + step, past, visible)
        scores = _log_probabilities(logits, [one.tokens for one in live], following)
        found = [pair for pair in _longer(live, scores, beam_size, ended) if not _over(pair[0], ended, following)]
        found = [(one, parent) for one, parent in found if _may_win(one, ended[one.row], max_steps, length_penalty)]
        if not found:
            break
        live, parents = map(list, zip(*found))
        past, visible, starts = [(k[parents], v[parents]) for k, v in past], visible[parents], starts[parents]
        chosen = torch.tensor([[one.tokens[-1]] for one in live], device=starts.device)
    best = []
    for row, done in enumerate(ended):
        best.append(max(done or [one for one in live if one.row == row], key=lambda one: one.value(length_penalty)))
    return [list(one.tokens) for one in best], [one.score for one in best]


class Beginning(NamedTuple):
    """What may be said of the source at position `row`, with its log probability (once it has ended, with `</s>`)."""

    row: int
    tokens: tuple
    score: float

    def value(self, length_penalty):
        return self.score / (len(self.tokens) + 1) ** length_penalty


def _longer(live, scores, beam_size, ended):
    """Each source's best beginnings with one token more, each with its parent's position; those with `</s>` go to `ended`.

    scores: log probabilities `[N, V]` of the tokens after the N live beginnings; ended: by source.
    """
    best, candidates = scores.topk(min(beam_size, scores.shape[1])), [[] for _ in ended]
    for parent, (one, values, tokens) in enumerate(zip(live, best.values.tolist(), best.indices.tolist())):
        candidates[one.row] += [(one.score + v, parent, token) for v, token in zip(values, tokens) if v > -torch.inf]
    for row, found in enumerate(candidates):
        found.sort(key=lambda candidate: -candidate[0])
        for score, parent, token in found[: beam_size - len(ended[row])]:
            if token == EOS:
                ended[row].append(live[parent]._replace(score=score))
            else:
                yield Beginning(row, (*live[parent].tokens, token), score), parent


def _over(one, ended, following):
    """Whether nothing but `</s>` may come; then it has ended, without asking the model."""
    over = bool(following) and following[one.tokens] == {EOS}
    if over:
        ended[one.row].append(one)
    return over


def _may_win(one, ended, max_steps, length_penalty):
    """Whether something longer can be better than the best that has ended: at best it costs nothing and is `max_steps` long."""
    return not ended or one.score / max_steps**length_penalty > max(other.value(length_penalty) for other in ended)


@torch.no_grad()
def begin(tuned, sources):
    """After reading the sources: first tokens `<s>` `[B, 1]`, their positions `[B, 1]`, keys and values, their visibility."""
    tokens = pad_rows([[EOS, *source] for source in sources], tuned.prompt.separator.device)
    past, visible = read_source(tuned.lm, tuned.prompt, tokens, tuned.scope)
    starts = (tokens != PAD).sum(1, keepdim=True)
    return torch.full_like(starts, SEPARATOR), starts, past, visible


def _next_logits(tuned, chosen, positions, past, visible):
    """Logits `[N, V]` after tokens `[N, 1]` at their positions; keys and values with theirs, and the visibility of these."""
    logits, past = target_logits(tuned.lm, tuned.prompt.separator, chosen, positions, past, visible)
    visible = torch.cat([visible, torch.ones_like(chosen, dtype=torch.bool)], 1)
    return (tuned.verbalizer(logits) if tuned.verbalizer else logits)[:, -1], past, visible


def _together(logits, copies):
    """Logits `[N · copies, V]` → the log of the mean probabilities of each N `[N, V]`, or as they are where there is one."""
    if copies == 1:
        return logits
    return logits.double().log_softmax(-1).unflatten(0, (-1, copies)).logsumexp(1) - math.log(copies)


def _log_probabilities(logits, prefixes, following):
    """Logits `[N, V]` → log probabilities (float64) among the tokens that may follow each prefix; -inf of the others."""
    logits = logits.double()
    if following:
        legal = torch.zeros(logits.shape, dtype=torch.bool)
        for row, prefix in zip(legal, prefixes):
            row[list(following[tuple(prefix)])] = True
        logits = logits.masked_fill(~legal.to(logits.device), -torch.inf)
    return logits.log_softmax(-1)
