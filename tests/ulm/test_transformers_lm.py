"""Causal LMs of transformers: logits equal transformers', prompts and low-rank updates equal peft's, answers equal `generate`'s."""

import copy
import functools

import pytest
import torch

from training.fit import trained_state
from ulm.data import pad_rows
from ulm.decode import greedy
from ulm.transformers_lm import TransformersLM, UnitTokens, build
from ulm.tuned import TunedLM, unfreeze
from ulm.vocabulary import EOS, PAD, SEPARATOR, SPECIALS, UNK

ATOL = dict(atol=1e-4, rtol=0)
NUM_UNITS = 20
TOKENS = UnitTokens(first_unit=4, num_units=NUM_UNITS, start=1, separator=2, end=3)
OPT = dict(model_type="opt", vocab_size=26, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=48)
LLAMA = dict(
    vocab_size=26, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=48
)
ARCHITECTURES = {
    "opt": OPT | dict(hidden_size=16, ffn_dim=32, word_embed_proj_dim=16),
    "opt_350m": OPT | dict(hidden_size=16, ffn_dim=32, word_embed_proj_dim=8, do_layer_norm_before=False),
    "gpt2": dict(model_type="gpt2", vocab_size=26, n_embd=16, n_layer=2, n_head=4, n_positions=48),
    "llama": LLAMA | dict(model_type="llama", num_key_value_heads=2, tie_word_embeddings=False),
    "qwen2": LLAMA | dict(model_type="qwen2", num_key_value_heads=2, tie_word_embeddings=True),
}
ROWS = [[5, 9, 12, 7, 7, 23], [6], [8, 9, 8, 9, 8, 4, 11, 20, 21], [4, 5]]
TARGETS = [[SEPARATOR, 7, 15, EOS], [SEPARATOR, 4, EOS], [SEPARATOR, 23, 9, EOS], [SEPARATOR, 8, EOS]]


@functools.cache
def random_model(name):
    """A model of transformers with random weights, which no test may change."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    settings = ARCHITECTURES[name]
    config = AutoConfig.for_model(**settings, bos_token_id=1, eos_token_id=3, pad_token_id=0)
    torch.manual_seed(0)
    model = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:  # neither scales nor biases
            torch.nn.init.normal_(parameter, std=0.5)
    model.get_output_embeddings().weight.data[3] *= 0.3  # </s> is less probable, so that answers have several tokens
    return model


def causal_model(name):
    return copy.deepcopy(random_model(name))


def unit_lm(name):
    return TransformersLM(causal_model(name), TOKENS).eval().requires_grad_(False)


@pytest.fixture(params=ARCHITECTURES)
def name(request):
    return request.param


def ids(tokens):
    """Token ids of the model for vocabulary indices of inputs."""
    special = {EOS: 1, SEPARATOR: 2, PAD: 1, UNK: 1}
    return torch.tensor([[special.get(token, token) for token in row] for row in tokens.tolist()])


def whole_rows():
    """Inputs `</s> u1 … uN <s> y1 …` in one row each, padded on the right, and their mask."""
    tokens = pad_rows([[EOS, *row, *target[:-1]] for row, target in zip(ROWS, TARGETS)])
    return tokens, tokens != PAD


def of_targets(logits, offset=0):
    """The logits after `<s> y1 …` in those of whole rows, one tensor per row, of `</s>` and the units."""
    columns = [3, *range(4, 4 + NUM_UNITS)]
    parts = []
    for row, target, row_logits in zip(ROWS, TARGETS, logits):
        start = offset + 1 + len(row)
        parts.append(row_logits[start : start + len(target) - 1, columns])
    return parts


def our_targets(tuned):
    """The same from our reading of sources and targets."""
    logits, _ = tuned.target_logits(ROWS, TARGETS)
    assert logits.shape == (4, 3, NUM_UNITS + len(SPECIALS))
    return [row[: len(target) - 1, [EOS, *range(len(SPECIALS), row.shape[1])]] for row, target in zip(logits, TARGETS)]


def new_tuned(name, kind="deep", length=3, scope="all"):
    lm = unit_lm(name)
    torch.manual_seed(1)
    return TunedLM(lm, lm.new_prompt(kind, length), scope, 0.0).eval()


def test_logits_equal_transformers_over_a_padded_batch(name):
    tokens, mask = whole_rows()
    with torch.no_grad():
        theirs = random_model(name)(input_ids=ids(tokens), attention_mask=mask.long()).logits
        for scope in ("all", "target"):
            for ours, expected in zip(our_targets(new_tuned(name, length=0, scope=scope)), of_targets(theirs)):
                torch.testing.assert_close(ours, expected, **ATOL)


def test_specials_are_never_the_best(name):
    logits, _ = new_tuned(name, length=0).target_logits(ROWS, TARGETS)
    others = logits[..., [EOS, *range(len(SPECIALS), logits.shape[-1])]]
    for special in (SEPARATOR, PAD, UNK):
        torch.testing.assert_close(logits[..., special], others.amin(-1))


@pytest.mark.parametrize("kind", ["deep", "input"])
def test_prompts_equal_pefts(name, kind):
    from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

    tuned = new_tuned(name, kind)
    width = random_model(name).get_input_embeddings().weight.shape[1]
    own = PrefixTuningConfig if kind == "deep" else functools.partial(PromptTuningConfig, token_dim=width)
    theirs = get_peft_model(causal_model(name), own(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
    table = theirs.prompt_encoder["default"].embedding.weight
    table.data = (tuned.prompt.prefix if kind == "deep" else tuned.prompt.vectors).data
    tokens, mask = whole_rows()
    with torch.no_grad():
        logits = theirs(input_ids=ids(tokens), attention_mask=mask.long()).logits
        for ours, expected in zip(our_targets(tuned), of_targets(logits, 3 if kind == "input" else 0)):
            torch.testing.assert_close(ours, expected, **ATOL)


def test_low_rank_updates_equal_pefts(name):
    from peft import LoraConfig, get_peft_model

    tuned = new_tuned(name, length=0)
    unfreeze(tuned, lora_rank=2, train_lm=False)
    theirs = get_peft_model(causal_model(name), LoraConfig(r=2, lora_alpha=2, task_type="CAUSAL_LM")).eval()
    prefix = f"base_model.model.{random_model(name).base_model_prefix}."
    updates = {n: p for n, p in tuned.named_parameters() if "lora_" in n}
    their_updates = {n: p for n, p in theirs.named_parameters() if "lora_" in n}
    assert {n.replace("lm.body.", prefix) for n in updates} == set(their_updates)
    for update_name, parameter in updates.items():
        torch.nn.init.normal_(parameter, std=0.3)
        their_updates[update_name.replace("lm.body.", prefix)].data = parameter.data
    tokens, mask = whole_rows()
    with torch.no_grad():
        logits = theirs(input_ids=ids(tokens), attention_mask=mask.long()).logits
        for ours, expected in zip(our_targets(tuned), of_targets(logits)):
            torch.testing.assert_close(ours, expected, **ATOL)


QUERY_AND_VALUE = dict(opt=("q_proj", "v_proj"), gpt2=("c_attn",), llama=("q_proj", "v_proj"), qwen2=("q_proj", "v_proj"))
WAYS = {  # name → kind and length of the prompt, arguments of `unfreeze`
    "deep": ("deep", 3, dict(lora_rank=0, train_lm=False)),
    "input": ("input", 3, dict(lora_rank=0, train_lm=False)),
    "lora": ("deep", 0, dict(lora_rank=2, train_lm=False)),
    "full": ("deep", 0, dict(lora_rank=0, train_lm=True)),
}


def expected_names(name, way):
    names = {"prompt.vectors" if way == "input" else "prompt.prefix"}
    body = random_model(name).base_model
    if way == "lora":
        modules = [m for m, _ in body.named_modules() if m.endswith(QUERY_AND_VALUE[name.partition("_")[0]])]
        assert len(modules) == 2 * len(QUERY_AND_VALUE[name.partition("_")[0]])
        names |= {f"lm.body.{module}.lora_{factor}.default.weight" for module in modules for factor in "AB"}
    if way == "full":
        names |= {f"lm.body.{n}" for n, _ in body.named_parameters()}
        names |= {"lm.head.weight"} if name == "llama" else set()
    return names


@pytest.mark.parametrize("way", WAYS)
def test_exactly_what_is_trained_gets_gradients(name, way):
    kind, length, more = WAYS[way]
    tuned = new_tuned(name, kind, length)
    unfreeze(tuned, **more)
    for parameter in tuned.parameters():  # with B at zero, A would have no gradient
        torch.nn.init.normal_(parameter, std=0.3)
    loss, num_targets = tuned.loss((ROWS, TARGETS))
    loss.backward()
    assert num_targets == 10
    trained = {n for n, p in tuned.named_parameters() if p.requires_grad}
    with_gradient = {n for n, p in tuned.named_parameters() if p.grad is not None and (p.grad.abs().sum() > 0 or not p.numel())}
    assert trained == expected_names(name, way) == set(trained_state(tuned))
    unread = {n for n in trained - with_gradient if "k_proj.bias" in n}  # softmax does not depend on the bias of keys
    assert with_gradient | unread == trained


@pytest.mark.parametrize("scope", ["all", "target"])
@pytest.mark.parametrize("kind", ["deep", "input"])
def test_answers_do_not_depend_on_the_batch(name, kind, scope):
    tuned = new_tuned(name, kind, scope=scope)
    rows = [row[::step] for row in ROWS for step in (1, -1, 2, 3)] * 2
    together, scores = greedy(tuned, rows, max_steps=6)
    for start in range(len(rows)):
        (alone,), (score,) = greedy(tuned, rows[start : start + 1], max_steps=6)
        assert alone == together[start] and abs(score - scores[start]) < 1e-4
    assert len({tuple(answer) for answer in together}) > 2


def test_answers_equal_those_without_a_cache(name):
    """Every step reads the whole row again with transformers alone, unpadded."""
    tuned = new_tuned(name, length=0)
    answers, _ = greedy(tuned, ROWS, max_steps=6)
    columns = [3, *range(4, 4 + NUM_UNITS)]
    for row, answer in zip(ROWS, answers):
        tokens, ended = [1, *row, 2], False
        while not ended and len(tokens) < len(row) + 8:
            with torch.no_grad():
                logits = random_model(name)(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1, columns]
            best = columns[int(logits.argmax())]
            ended = best == 3
            tokens += [] if ended else [best]
        assert answer == tokens[len(row) + 2 :]


@pytest.mark.parametrize("name", ["opt", "gpt2"], indirect=True)
def test_a_row_beyond_the_last_position_is_an_error(name):
    with pytest.raises(ValueError, match="must fit into the positions of the unit LM.*at most 48 tokens, got 51"):
        new_tuned(name).target_logits([[5] * 47], [[SEPARATOR, 7, EOS]])


def test_a_model_is_built_from_its_config_and_tensors(name):
    model = random_model(name)
    built = build(model.config.to_dict(), model.state_dict(), "folder")
    tokens, mask = whole_rows()
    with torch.no_grad():
        arguments = dict(input_ids=ids(tokens), attention_mask=mask.long())
        torch.testing.assert_close(built(**arguments).logits, model(**arguments).logits)


def test_what_does_not_fit_is_named():
    model = random_model("llama")
    settings, tensors = model.config.to_dict(), model.state_dict()
    with pytest.raises(ValueError, match="causal LM in the library transformers; .*got model_type 'speech' "):
        build(settings | dict(model_type="speech"), tensors, "folder")
    with pytest.raises(ValueError, match="got model_type 'hubert'"):
        build(dict(model_type="hubert"), tensors, "folder")
    missing = "model.layers.1.mlp.up_proj.weight"
    renamed = {n if n != missing else "other.weight": t for n, t in tensors.items()}
    with pytest.raises(ValueError, match=f"got missing, unknown or of another shape: {missing}, other.weight"):
        build(settings, renamed, "folder")
    with pytest.raises(ValueError, match=r"values for [0-9]+ parameters"):
        build(settings | dict(vocab_size=10**9), tensors, "folder")
