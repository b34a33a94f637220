"""Decoding: the cache changes nothing, and only legal answers are decoded."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ulm.answers import OpenAnswers
from ulm.decode import beam, greedy, legal_continuations, n_best
from ulm.prompt import DeepPrompt
from ulm.tuned import LinearVerbalizer, TunedLM
from ulm.vocabulary import EOS, SEPARATOR


@torch.no_grad()
def brute_force(lm, prompt, source, *, scope, max_steps, following=None):
    """Decode greedily without a cache: compute the whole row for every token."""
    outputs, score, length = [], 0.0, prompt.keys.shape[1]
    for _ in range(max_steps):
        row = torch.tensor([[EOS, *source, SEPARATOR, *outputs]])
        mask = torch.ones(row.shape[1], length + row.shape[1]).tril(length).bool()
        if scope == "target":
            mask[: 1 + len(source), :length] = False
        hidden, _ = lm.hidden(lm.embed(row, separator=(SEPARATOR, prompt.separator)), prompt.key_values(lm), mask[None, None])
        logits = lm.logits(hidden)[0, -1]
        legal = sorted(following[tuple(outputs)]) if following else range(len(logits))
        best = max(legal, key=lambda token: float(logits[token]))
        score += float(logits[best] - logits[list(legal)].logsumexp(0))
        if best == EOS:
            break
        outputs.append(best)
    return outputs, score


def sources(*lengths):
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(4, 24, (n,), generator=generator).tolist() for n in lengths]


def check(lm, prompt, rows, *, scope, **arguments):
    outputs, scores = greedy(TunedLM(lm, prompt, scope, 0.0), rows, **arguments)
    for row, tokens, score in zip(rows, outputs, scores):
        expected, log_probability = brute_force(lm, prompt, row, scope=scope, **arguments)
        assert tokens == expected
        assert score == pytest.approx(log_probability, abs=1e-3)
    return outputs


@pytest.mark.parametrize("scope", ["all", "target"])
def test_cached_equals_uncached_over_the_whole_vocabulary(lm, prompt, scope):
    lm.embed_tokens.weight.data[EOS] = 0.0  # its logit is 0, so that outputs have several tokens
    outputs = check(lm, prompt, sources(3, 11, 7, 1), scope=scope, max_steps=6)
    assert max(map(len, outputs)) > 1


@pytest.mark.parametrize("scope", ["all", "target"])
def test_cached_equals_uncached_over_legal_answers_of_several_labels(lm, prompt, scope):
    answers = [(5, 9, 4, EOS), (5, 9, EOS), (5, EOS), (17, 8, 23, 6, EOS), (17, 9, EOS)]
    outputs = check(lm, prompt, sources(4, 9, 2, 30, 8, 8), scope=scope, max_steps=5, following=legal_continuations(answers))
    assert all((*tokens, EOS) in answers for tokens in outputs)


@pytest.mark.parametrize("scope", ["all", "target"])
def test_rows_longer_than_speechprompts_limit_of_150_tokens(lm, prompt, scope):
    answers = [(5, 9, EOS), (17, EOS), (9, EOS)]
    check(lm, prompt, sources(400, 160, 6), scope=scope, max_steps=3, following=legal_continuations(answers))


def test_a_batch_gives_what_its_rows_give_alone(lm, prompt):
    rows = sources(3, 19, 8, 8, 1, 40)
    tuned = TunedLM(lm, prompt, "target", 0.0)
    together, _ = greedy(tuned, rows, max_steps=4)
    assert together == [greedy(tuned, [row], max_steps=4)[0][0] for row in rows]


def test_without_an_end_decoding_stops_after_max_steps(lm, prompt):
    lm.embed_tokens.weight.data[EOS] = -lm.layer_norm.bias * 1000  # never probable
    outputs, _ = greedy(TunedLM(lm, prompt, "all", 0.0), sources(5, 6), max_steps=4)
    assert [len(tokens) for tokens in outputs] == [4, 4]


def test_variants_of_an_utterance_get_one_output_by_their_mean_probabilities(lm, prompt):
    rows, answers = sources(5, 9, 7, 3, 12, 4), [(token, EOS) for token in (4, 9, 17, 22)]
    tuned, legal = TunedLM(lm, prompt, "target", 0.0), [token for token, _ in answers]
    outputs, scores = greedy(tuned, rows, sources_per_row=3, max_steps=2, following=legal_continuations(answers))
    with torch.no_grad():
        logits = tuned.target_logits(rows, [[SEPARATOR, 4, EOS]] * 6)[0][:, 0].double()
    mean = logits.softmax(-1).unflatten(0, (2, 3)).mean(1)[:, legal]
    assert outputs == [[legal[best]] for best in mean.argmax(1)]
    assert scores == pytest.approx((mean / mean.sum(1, keepdim=True)).max(1).values.log().tolist(), abs=1e-4)


def test_legal_continuations():
    assert legal_continuations([(7, 5, 2), (7, 2), (9, 2)]) == {(): {7, 9}, (7,): {5, 2}, (7, 5): {2}, (9,): {2}}


tokens = st.lists(st.integers(4, 23), min_size=1, max_size=4)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(tokens, min_size=1, max_size=8), st.lists(tokens, min_size=1, max_size=5), st.integers(0, 99))
def test_no_illegal_sequence_is_decoded(random_lm, answers, rows, seed):
    lm, legal = random_lm, {(*answer, EOS) for answer in map(tuple, answers)}
    torch.manual_seed(seed)
    prompt, steps = DeepPrompt(lm.config, 2), max(map(len, legal))
    outputs, scores = greedy(TunedLM(lm, prompt, "target", 0.0), rows, max_steps=steps, following=legal_continuations(legal))
    assert all((*answer, EOS) in legal for answer in outputs)
    assert all(score <= 1e-6 for score in scores)


def test_a_learned_verbalizer_restricts_the_output(lm, prompt):
    verbalizer = LinearVerbalizer(24, [EOS, 9, 20]).requires_grad_(False)
    tuned = TunedLM(lm, prompt, "all", 0.0, verbalizer)
    assert {token for row in greedy(tuned, sources(5, 6, 9, 30), max_steps=3)[0] for token in row} <= {9, 20}


@torch.no_grad()
def log_probability(lm, prompt, source, tokens, *, scope, following):
    """Return the log probability of `tokens` and `</s>` after a source, computing the whole row for every token."""
    total, length = 0.0, prompt.keys.shape[1]
    for i, token in enumerate((*tokens, EOS)):
        row = torch.tensor([[EOS, *source, SEPARATOR, *tokens[:i]]])
        mask = torch.ones(row.shape[1], length + row.shape[1]).tril(length).bool()
        if scope == "target":
            mask[: 1 + len(source), :length] = False
        inputs = lm.embed(row, separator=(SEPARATOR, prompt.separator))
        logits = lm.logits(lm.hidden(inputs, prompt.key_values(lm), mask[None, None])[0])[0, -1].double()
        total += float(logits[token] - logits[sorted(following[tuple(tokens[:i])])].logsumexp(0))
    return total


def every_answer(following, prefix=()):
    """Yield all legal token sequences, without `</s>`."""
    for token in following[prefix]:
        yield from [prefix] if token == EOS else every_answer(following, (*prefix, token))


ANSWERS = legal_continuations([(5, 9, 4, EOS), (5, 9, EOS), (5, EOS), (17, 8, 23, 6, EOS), (17, 9, EOS), (8, 8, EOS)])
DIGITS = OpenAnswers({"one": (5,), "two": (9,), "three": (17,)}, 3)  # 3 + 9 + 27 answers
PAIRS = OpenAnswers({"one": (5, 5), "two": (5, 9), "three": (17, 5)}, 2)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["all", "target"])
@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("following, steps", [(ANSWERS, 5), (DIGITS, 4), (PAIRS, 5)], ids=["listed", "digits", "pairs"])
def test_a_beam_of_as_many_hypotheses_as_answers_finds_the_best(lm, prompt, scope, length_penalty, following, steps):
    rows, answers = sources(4, 160, 2, 30, 9), list(every_answer(following))
    arguments = dict(max_steps=steps, following=following, length_penalty=length_penalty, beam_size=len(answers))
    outputs, scores = beam(TunedLM(lm, prompt, scope, 0.0), rows, **arguments)
    for row, tokens, score in zip(rows, outputs, scores):
        scored = {a: log_probability(lm, prompt, row, a, scope=scope, following=following) for a in answers}
        best = max(scored, key=lambda a, scored=scored: scored[a] / (len(a) + 1) ** length_penalty)
        assert tuple(tokens) == best
        assert score == pytest.approx(scored[best], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("following, steps", [(ANSWERS, 5), (DIGITS, 4)], ids=["listed", "digits"])
def test_the_n_best_are_the_most_probable_answers_in_order(lm, prompt, length_penalty, following, steps):
    rows, answers = sources(4, 160, 2), list(every_answer(following))
    arguments = dict(max_steps=steps, following=following, length_penalty=length_penalty, beam_size=len(answers))
    ranked = n_best(TunedLM(lm, prompt, "all", 0.0), rows, num_best=5, **arguments)
    for row, hypotheses in zip(rows, ranked):
        scored = {a: log_probability(lm, prompt, row, a, scope="all", following=following) for a in answers}
        best = sorted(answers, key=lambda a, scored=scored: -scored[a] / (len(a) + 1) ** length_penalty)
        assert [hypothesis.tokens for hypothesis in hypotheses] == best[:5]
        assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx([scored[a] for a in best[:5]], abs=1e-3)


def test_a_beam_over_equal_variants_is_the_beam_over_one(lm, prompt):
    rows, arguments = sources(4, 30, 9), dict(max_steps=4, following=DIGITS, beam_size=6)
    tuned = TunedLM(lm, prompt, "target", 0.0)
    outputs, scores = beam(tuned, rows, **arguments)
    repeated, repeated_scores = beam(tuned, [row for row in rows for _ in range(3)], sources_per_row=3, **arguments)
    assert repeated == outputs and repeated_scores == pytest.approx(scores, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("following, steps", [(None, 6), (ANSWERS, 5), (DIGITS, 4), (PAIRS, 5)])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(lm, prompt, following, steps, length_penalty):
    lm.embed_tokens.weight.data[EOS] = -3 * lm.layer_norm.bias  # improbable, so that outputs are long
    rows, tuned = sources(3, 19, 8, 8, 1, 400), TunedLM(lm, prompt, "target", 0.0)
    outputs, scores = beam(tuned, rows, beam_size=1, max_steps=steps, following=following, length_penalty=length_penalty)
    expected, log_probabilities = greedy(tuned, rows, max_steps=steps, following=following)
    assert outputs == expected and scores == pytest.approx(log_probabilities, abs=1e-6)
    assert max(map(len, outputs)) > 1


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(tokens, min_size=1, max_size=5), st.integers(2, 6), st.integers(0, 99))
def test_beams_give_legal_answers_with_their_log_probabilities_and_rows_do_not_mix(random_lm, rows, size, seed):
    torch.manual_seed(seed)
    tuned = TunedLM(random_lm, DeepPrompt(random_lm.config, 2).requires_grad_(False), "target", 0.0)
    arguments = dict(beam_size=size, max_steps=4, following=DIGITS)
    outputs, scores = beam(tuned, rows, **arguments)
    assert all(DIGITS.labels(answer) for answer in outputs)
    for row, answer, score in zip(rows, outputs, scores):
        expected = log_probability(random_lm, tuned.prompt, row, tuple(answer), scope="target", following=DIGITS)
        assert score == pytest.approx(expected, abs=1e-3)
    alone = [[part[0] for part in beam(tuned, [row], **arguments)] for row in rows]
    assert [answer for answer, _ in alone] == outputs and [score for _, score in alone] == pytest.approx(scores, abs=1e-3)


def test_without_an_end_a_beam_stops_after_max_steps(lm, prompt):
    lm.embed_tokens.weight.data[EOS] = -lm.layer_norm.bias * 1000  # never probable
    outputs, _ = beam(TunedLM(lm, prompt, "all", 0.0), sources(5, 6), beam_size=3, max_steps=4)
    assert [len(tokens) for tokens in outputs] == [4, 4]
