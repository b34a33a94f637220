"""Decode answers with a tuned unit LM.

The source is read once, with the prompt. Then each step adds one token to the cached keys and values.

The argument `following` restricts what may be decoded: `following[prefix]` is the set of tokens that may come after a tuple of
tokens. It is the result of `legal_continuations`, or an object of a class in `ulm.answers`. Without it, any token may come.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

import math
from typing import NamedTuple

import torch

from ulm.data import pad_rows
from ulm.prompt import read_source, target_logits
from ulm.vocabulary import EOS, SEPARATOR


def legal_continuations(sequences):
    """Return a dict from each prefix of some sequences to the set of tokens that may follow it.

    The sequences are tuples of tokens that end in `</s>` (token 2). Example:
    `[(12, 2), (7, 5, 2)]` → `{(): {12, 7}, (12,): {2}, (7,): {5}, (7, 5): {2}}`.
    """
    following = {}
    for sequence in sequences:
        for i, token in enumerate(sequence):
            following.setdefault(tuple(sequence[:i]), set()).add(token)
    return following


class DecoderState(NamedTuple):
    """What the next step of decoding needs, for N hypotheses."""

    tokens: torch.Tensor  # [N, 1]: the last token of each
    positions: torch.Tensor  # [N, 1]: their positions
    past_key_values: list  # per layer, keys and values [N, H, P, D / H] of everything before
    attention_mask: torch.Tensor  # boolean [N, P] over this past

    def select(self, rows, tokens):
        """Return the state of the hypotheses at positions `rows`, continued by `tokens` `[N, 1]`."""
        past_key_values = [(keys[rows], values[rows]) for keys, values in self.past_key_values]
        return DecoderState(tokens, self.positions[rows], past_key_values, self.attention_mask[rows])


@torch.no_grad()
def read_sources(tuned, sources):
    """Return the `DecoderState` after a `TunedLM` has read a list of sources `u1 … uN`; the next token to read is `<s>`."""
    tokens = pad_rows([[EOS, *source] for source in sources], tuned.device)
    past_key_values, attention_mask, positions = read_source(tuned.lm, tuned.prompt, tokens, tuned.scope)
    return DecoderState(torch.full_like(positions, SEPARATOR), positions, past_key_values, attention_mask)


@torch.no_grad()
def greedy(tuned, sources, *, max_steps, following=None, state=None, sources_per_row=1):
    """Decode the most probable token at each step, until `</s>` or `max_steps` tokens.

    Args:
        tuned: a `TunedLM`.
        sources: list of sources `u1 … uN`.
        max_steps: maximum number of tokens per output, `</s>` included.
        following: see the docstring of the module.
        state: the result of `read_sources(tuned, sources)`, if it has been computed already.
        sources_per_row: number of successive sources that are variants of one utterance. They get one output together, which
            is decoded from the mean of their probabilities.

    Returns:
        The tokens of each output without `</s>`, and the log probability of each output (in nats, normalized over the tokens
        that `following` allows at each step).
    """
    state = state or read_sources(tuned, sources)
    num_rows = len(sources) // sources_per_row
    outputs = [[] for _ in range(num_rows)]
    scores = [0.0] * num_rows
    finished = [False] * num_rows
    for _ in range(max_steps):
        if all(done or must_end(tokens, following) for tokens, done in zip(outputs, finished)):
            break
        logits, state = _next_logits(tuned, state)
        best = _log_probabilities(_mean_of_variants(logits, sources_per_row), outputs, following).max(1)
        for row, (token, score) in enumerate(zip(best.indices.tolist(), best.values.tolist())):
            if finished[row]:
                continue
            scores[row] += score
            if token == EOS:
                finished[row] = True
            else:
                outputs[row].append(token)
        state = state._replace(tokens=best.indices.repeat_interleave(sources_per_row)[:, None])
    return outputs, scores


class Hypothesis(NamedTuple):
    """A partial or complete output for the source at position `row`."""

    row: int
    tokens: tuple  # without </s>
    score: float  # log probability, that of </s> included once it has ended
    ended: bool = False  # whether </s> has been decoded

    def rank(self, length_penalty):
        """Return the number by which hypotheses are compared: log probability / (tokens, `</s>` included)^length_penalty."""
        return self.score / (len(self.tokens) + 1) ** length_penalty


def beam(tuned, sources, *, beam_size, max_steps, following=None, length_penalty=0.0, state=None, sources_per_row=1):
    """Decode by beam search, which equals `greedy` if `beam_size` is 1. Arguments and result are those of `n_best` and `greedy`."""
    settings = dict(following=following, length_penalty=length_penalty, state=state, sources_per_row=sources_per_row)
    ranked = n_best(tuned, sources, num_best=1, beam_size=beam_size, max_steps=max_steps, **settings)
    return [list(best.tokens) for [best] in ranked], [best.score for [best] in ranked]


@torch.no_grad()
def n_best(tuned, sources, *, num_best, beam_size, max_steps, following=None, length_penalty=0.0, state=None, sources_per_row=1):
    """Find the most probable outputs by beam search.

    Each finished hypothesis shrinks the beam of its source by one. Finished hypotheses are compared by `Hypothesis.rank`.

    Args:
        num_best: number of outputs per row, at most `beam_size`.
        beam_size: number of hypotheses per row.
        length_penalty: exponent of the length normalization.
        tuned, sources, max_steps, following, state, sources_per_row: as for `greedy`.

    Returns:
        A list of finished hypotheses for each row, the best first: `num_best`, or fewer if fewer outputs are possible. A row
        without a finished one has its best unfinished hypothesis.

    **Source:** Wu et al. 2016, arXiv 1609.08144, section 7, with fairseq's simpler length normalization.
    """
    state = state or read_sources(tuned, sources)
    num_rows = len(sources) // sources_per_row
    live = [Hypothesis(row, (), 0.0) for row in range(num_rows)]
    finished = [[] for _ in range(num_rows)]
    for _ in range(max_steps):
        logits, state = _next_logits(tuned, state)
        logits = _mean_of_variants(logits, sources_per_row)
        log_probabilities = _log_probabilities(logits, [hypothesis.tokens for hypothesis in live], following)
        unfinished = finish(expand(live, log_probabilities, beam_size, finished), finished, following)
        hopeful = [
            (hypothesis, parent)
            for hypothesis, parent in unfinished
            if can_still_win(hypothesis, finished[hypothesis.row], max_steps, length_penalty, num_best)
        ]
        if not hopeful:
            break
        live = [hypothesis for hypothesis, _ in hopeful]
        parents = [parent * sources_per_row + variant for _, parent in hopeful for variant in range(sources_per_row)]
        last_tokens = torch.tensor([[hypothesis.tokens[-1]] for hypothesis in live], device=state.tokens.device)
        state = state.select(parents, last_tokens.repeat_interleave(sources_per_row, 0))
    ranked = []
    for row, ended in enumerate(finished):
        candidates = ended or [hypothesis for hypothesis in live if hypothesis.row == row]
        candidates = sorted(candidates, key=lambda hypothesis: -hypothesis.rank(length_penalty))
        ranked.append(candidates[: num_best if ended else 1])
    return ranked


def expand(live, log_probabilities, beam_size, finished):
    """Return the best hypotheses after one more token, the best first.

    Each source gets as many as `beam_size` minus its number of finished hypotheses.

    Args:
        live: list of N unfinished hypotheses.
        log_probabilities: `[N, V]`, log probabilities of the next token of each; -inf if the token is not allowed.
        beam_size: number of hypotheses per source.
        finished: list of the finished hypotheses of each source.

    Returns:
        Pairs of a hypothesis and the position of its parent in `live`.
    """
    best = log_probabilities.topk(min(beam_size, log_probabilities.shape[1]))
    candidates = [[] for _ in finished]
    for parent, (hypothesis, values, tokens) in enumerate(zip(live, best.values.tolist(), best.indices.tolist())):
        for value, token in zip(values, tokens):
            if value > -math.inf:
                candidates[hypothesis.row].append((hypothesis.score + value, parent, token))
    expanded = []
    for row, row_candidates in enumerate(candidates):
        row_candidates.sort(key=lambda candidate: -candidate[0])
        for score, parent, token in row_candidates[: beam_size - len(finished[row])]:
            ended = token == EOS
            tokens = live[parent].tokens if ended else (*live[parent].tokens, token)
            expanded.append((Hypothesis(row, tokens, score, ended), parent))
    return expanded


def finish(expanded, finished, following):
    """Move hypotheses that have ended, or can only end, to the lists `finished`; return the other results of `expand`."""
    unfinished = []
    for hypothesis, parent in expanded:
        if hypothesis.ended or must_end(hypothesis.tokens, following):
            finished[hypothesis.row].append(hypothesis)
        else:
            unfinished.append((hypothesis, parent))
    return unfinished


def must_end(tokens, following):
    """Return whether only `</s>` may come after the tokens. Its probability is then 1, so that no further step is needed."""
    return bool(following) and following[tuple(tokens)] == {EOS}


def can_still_win(hypothesis, finished, max_steps, length_penalty, num_best=1):
    """Return whether a hypothesis can still be among the best `num_best`: at best it grows to `max_steps` tokens at the same score.

    Args:
        hypothesis: an unfinished one.
        finished: the finished hypotheses of the same row.
        max_steps, length_penalty, num_best: as for `n_best`.
    """
    if len(finished) < num_best:
        return True
    best_rank = hypothesis.score / max_steps**length_penalty
    return best_rank > sorted(other.rank(length_penalty) for other in finished)[-num_best]


def _next_logits(tuned, state):
    """Return the logits `[N, V]` after the tokens of a state, and the state that includes these tokens in its past."""
    logits, past_key_values = target_logits(
        tuned.lm, tuned.prompt.separator, state.tokens, state.positions, state.past_key_values, state.attention_mask
    )
    if tuned.verbalizer is not None:
        logits = tuned.verbalizer(logits)
    attention_mask = torch.cat([state.attention_mask, torch.ones_like(state.tokens, dtype=torch.bool)], 1)
    return logits[:, -1], DecoderState(state.tokens, state.positions + 1, past_key_values, attention_mask)


def _mean_of_variants(logits, sources_per_row):
    """Return the log of the mean probabilities `[N, V]` of every `sources_per_row` rows of logits `[N · sources_per_row, V]`."""
    if sources_per_row == 1:
        return logits
    log_probabilities = logits.double().log_softmax(-1).unflatten(0, (-1, sources_per_row))
    return log_probabilities.logsumexp(1) - math.log(sources_per_row)


def _log_probabilities(logits, prefixes, following):
    """Return log probabilities `[N, V]` (float64) among the tokens that may follow each prefix, and -inf for all others."""
    logits = logits.double()
    if following:
        legal = torch.zeros(logits.shape, dtype=torch.bool)
        for row, prefix in zip(legal, prefixes):
            row[list(following[tuple(prefix)])] = True
        logits = logits.masked_fill(~legal.to(logits.device), -torch.inf)
    return logits.log_softmax(-1)
