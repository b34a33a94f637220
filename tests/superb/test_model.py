"""The model of a task: every head on every encoder, kept hidden states, saved tensors, warm starts."""

import numpy as np
import pytest
import torch

from superb.hidden_states import plain_hidden_states
from superb.model import NOT_IN_ENCODER, build_model, restore, start_from
from training.fit import trained_state

POOLED = dict(architecture="mean_pooling", projection_dim=4)
HEADS = dict(
    ks=(POOLED, [5], [[4], [0], [2]]), ic=(POOLED, [3, 2], [[2, 1], [0, 0], [1, 1]]),
    pr=(dict(architecture="linear_ctc", projection_dim=4), [6], [[1, 6], [2], [3, 3]]),
    asr=(
        dict(
            architecture="recurrent_ctc", projection_dim=4, hidden_dim=3, num_layers=2, dropout=0.2, downsampling=1, concatenate=True
        ), [6], [[1, 6], [2], [3, 3]],
    ),
    sd=(
        dict(architecture="diarization", hidden_dim=3, num_layers=1, median_frames=3), [2],
        [["1 0.00 0.12", "2 0.08 0.20"], ["2 0.02 0.10"], []],
    ),
)  # fmt: skip
DEEP_PROMPT = dict(method="deep_prompt", length=2, initialization="normal", init_scale=0.1)


def model_of(folder, tuning, task="ks", seed=0):
    head, num_outputs, targets = HEADS[task]
    torch.manual_seed(seed)
    return build_model(folder, tuning=tuning, head=head, num_outputs=num_outputs), targets


@pytest.mark.slow
@pytest.mark.parametrize("task", HEADS)
def test_every_head_trains_on_every_encoder(folder, waveforms, task):
    model, targets = model_of(folder, DEEP_PROMPT, task)
    with torch.autocast("cpu", torch.bfloat16):
        loss, number = model.loss((waveforms, targets))
    loss.backward()
    assert loss.isfinite() and number > 0
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in trained.values())
    assert {name.partition(".")[0] for name in trained} == {"layer_weights", "head", "inside"}


@pytest.mark.parametrize("task", HEADS)
def test_answers_have_the_form_of_targets(melhubert, waveforms, task):
    model, targets = model_of(melhubert, DEEP_PROMPT, task)
    answers = model.predict(waveforms)
    assert len(answers) == len(targets)
    assert all(type(x) in (int, str) for answer in answers for x in answer)
    measures = model.measures([(waveforms, targets), (waveforms[:2], targets[:2])])
    batches = [model.loss((waveforms, targets)), model.loss((waveforms[:2], targets[:2]))]
    assert measures["loss"] == pytest.approx(float(sum(loss for loss, _ in batches)) / sum(n for _, n in batches))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["ks", "asr", "sd"])
def test_kept_hidden_states_give_the_logits_of_the_waveforms(folder, waveforms, task):
    model, _ = model_of(folder, dict(method="weighted_sum"), task)
    torch.nn.init.normal_(model.layer_weights)
    logits, lengths = model(waveforms)
    kept_logits, kept_lengths = model(plain_hidden_states(model.trunk, waveforms))
    if lengths is None:
        torch.testing.assert_close(kept_logits, logits, atol=1e-4, rtol=0)
        return
    assert torch.equal(lengths, kept_lengths)
    for row, expected, length in zip(kept_logits, logits, lengths):
        torch.testing.assert_close(row[:length], expected[:length], atol=1e-4, rtol=0)


@pytest.mark.parametrize("task", HEADS)
def test_normalized_hidden_states_have_no_scale_and_no_offset(melhubert, waveforms, task):
    head, num_outputs, _ = HEADS[task]
    torch.manual_seed(0)
    model = build_model(melhubert, tuning=dict(method="weighted_sum"), head=head | dict(normalize=True), num_outputs=num_outputs)
    states = plain_hidden_states(model.trunk, waveforms)
    layers = np.arange(1, len(states[0]) + 1, dtype=np.float32)[:, None, None]
    logits, _ = model(states)
    torch.testing.assert_close(model([1000 * layers * state + 7 * layers for state in states])[0], logits, atol=1e-4, rtol=0)
    normal = [(state - state.mean(-1, keepdims=True)) / state.std(-1, keepdims=True) for state in states]
    plain, _ = model_of(melhubert, dict(method="weighted_sum"), task)
    torch.testing.assert_close(plain(normal)[0], logits, atol=1e-4, rtol=0)
    assert (plain(states)[0] - logits).abs().max() > 1e-3


def test_the_trunk_stays_in_evaluation_mode(melhubert):
    model, _ = model_of(melhubert, dict(method="full"))
    model.train()
    assert model.head.training and not any(module.training for module in model.trunk.modules())


def test_log_probabilities_are_those_of_the_frames(melhubert, waveforms):
    model, _ = model_of(melhubert, DEEP_PROMPT, "pr")
    log_probabilities = model.log_probabilities(waveforms)
    assert [len(rows) for rows in log_probabilities] == [len(model.trunk.windows(waveform)[0]) for waveform in waveforms]
    np.testing.assert_allclose(np.exp(log_probabilities[1]).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("tuning", [DEEP_PROMPT, dict(method="lora", rank=2), dict(method="bitfit"), dict(method="full")])
def test_trained_tensors_are_restored(folder, waveforms, tuning):
    model, _ = model_of(folder, tuning)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter) * parameter.requires_grad)
    tensors = trained_state(model)
    num_trained, num_in_encoder = model.num_trained()
    sizes = {name: tensor.numel() for name, tensor in tensors.items()}
    assert num_trained == sum(sizes.values())
    assert num_in_encoder == sum(size for name, size in sizes.items() if not name.startswith(NOT_IN_ENCODER))
    other, _ = model_of(folder, tuning, seed=1)
    restore(other, tensors)
    assert torch.equal(other(waveforms)[0], model(waveforms)[0])


def test_tensors_of_another_model_are_refused(melhubert):
    model, _ = model_of(melhubert, DEEP_PROMPT)
    other, _ = model_of(melhubert, DEEP_PROMPT | dict(length=3))
    with pytest.raises(ValueError, match="the tensors must be those that the settings train; .*inside.blocks.*; train it again"):
        restore(model, trained_state(other))


def test_a_warm_start_takes_the_head_and_the_layer_weights_only(melhubert):
    first, _ = model_of(melhubert, dict(method="full"), seed=1)
    torch.nn.init.normal_(first.layer_weights)
    second, _ = model_of(melhubert, DEEP_PROMPT)
    before = {name: tensor.clone() for name, tensor in second.state_dict().items()}
    start_from(second, trained_state(first))
    for name, tensor in second.state_dict().items():
        assert torch.equal(tensor, (trained_state(first) if name.startswith(NOT_IN_ENCODER) else before)[name])
    with pytest.raises(ValueError, match="the head to start from must have the same architecture and classes"):
        start_from(second, trained_state(model_of(melhubert, DEEP_PROMPT, "pr")[0]))


def test_an_unknown_head_is_refused(melhubert):
    with pytest.raises(ValueError, match="'architecture' must be a head; .* got 'mean_poling'; did you mean \"mean_pooling\""):
        build_model(melhubert, tuning=DEEP_PROMPT, head=dict(architecture="mean_poling"), num_outputs=[2])
