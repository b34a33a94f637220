"""The n best of a tuned encoder: classes of one slot, and combinations of several."""

from itertools import product

import pytest
import torch

from inference.encoder_model import EncoderModel


def model_with(slots):
    """An `EncoderModel` without its network: ranking needs the classes alone."""
    model = EncoderModel.__new__(EncoderModel)
    model.slots = slots
    return model


@pytest.mark.parametrize("slots", [[["a", "b", "c"]], [["on", "off"], ["light", "heat", "music"], ["here", "there"]]])
def test_the_n_best_are_the_most_probable_combinations(slots):
    torch.manual_seed(0)
    logits = torch.randn(sum(map(len, slots)))
    parts = [part.log_softmax(-1).tolist() for part in logits.split(list(map(len, slots)))]
    scores = {}
    for choice in product(*(range(len(slot)) for slot in slots)):
        scores[tuple(slot[i] for slot, i in zip(slots, choice))] = sum(part[i] for part, i in zip(parts, choice))
    expected = sorted(scores, key=lambda labels: -scores[labels])[:4]
    ranked = model_with(slots)._n_best(logits, 4)
    assert [answer.labels for answer in ranked] == expected
    assert [answer.score for answer in ranked] == pytest.approx([scores[labels] for labels in expected], abs=1e-5)
