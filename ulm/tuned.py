"""What is trained for a task on top of a unit LM: a prompt, and optionally low-rank updates, all weights or a verbalizer.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

from functools import cache
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from storage.errors import data_error
from ulm.causal_lm import load
from ulm.data import pad_rows
from ulm.prompt import read_source, read_without_prompt, target_logits
from ulm.vocabulary import EOS, PAD

CACHED_BATCHES = 8  # number of batches whose keys and values are in memory at a time
LOW_RANK_FACTORS = (".a", ".lora_A.default.weight")  # ends of the names of the tensors `[rank, in]` of low-rank updates
MASKED_LOGIT = -30.0  # logit of tokens that no answer contains; finite, because label smoothing needs all log probabilities


class LinearVerbalizer(nn.Module):
    """A trained linear map of the logits over the vocabulary to new logits of the tokens that answers contain.

    It starts as the identity. All other tokens get `MASKED_LOGIT`.

    **Source:** SpeechPrompt v2, arXiv 2303.00733, section III-D, without its dropout.
    """

    def __init__(self, vocabulary_size, answer_tokens):
        super().__init__()
        self.answer_tokens = list(answer_tokens)
        self.weight = nn.Parameter(F.one_hot(torch.tensor(self.answer_tokens), vocabulary_size).float())

    def forward(self, logits):
        """Map logits `[…, V]` to logits `[…, V]`."""
        mixed = torch.full_like(logits, MASKED_LOGIT)
        mixed[..., self.answer_tokens] = F.linear(logits, self.weight.to(logits.dtype))
        return mixed


class TunedLM(nn.Module):
    """A unit LM with a prompt. Only the prompt is trained, unless `unfreeze` makes more of it trainable.

    A batch is a tuple (sources, targets) or (sources, targets, source_key_values). `sources` is a list of B sources `u1 … uN`,
    `targets` a list of B targets `<s> y1 … yk </s>`, and `source_key_values` is what `read_without_prompt` returns for the
    sources.
    """

    def __init__(self, lm, prompt, scope, label_smoothing, verbalizer=None):
        """Combine a unit LM with what is trained on it.

        Args:
            lm: a `CausalLM`, which this freezes.
            prompt: a prompt of this unit LM, see `ulm.prompt`.
            scope: which tokens attend to the prompt, `all` or `target`, see `read_source`.
            label_smoothing: part of the target probability that is spread evenly over the vocabulary, from 0 to 1.
            verbalizer: a `LinearVerbalizer`, or None.
        """
        super().__init__()
        self.lm = lm.requires_grad_(False)
        self.prompt = prompt
        self.verbalizer = verbalizer
        self.scope = scope
        self.label_smoothing = label_smoothing

    @property
    def device(self):
        """Device of the parameters."""
        return next(self.parameters()).device

    def train(self, mode=True):
        """Switch to training mode, in which the LM's own dropout stays off."""
        super().train(mode)
        self.lm.eval()
        return self

    def pad_sources(self, sources):
        """Return B sources `u1 … uN` as padded tokens `</s> u1 … uN`, `[B, T]`."""
        return pad_rows([[EOS, *row] for row in sources], self.device)

    def target_logits(self, sources, targets, source_key_values=None):
        """Return the logits `[B, L, V]` after the tokens `<s> y1 … yk`, and the expected tokens `[B, L]`, `<pad>` in padding."""
        sources = self.pad_sources(sources)
        targets = pad_rows(targets, sources.device)
        past_key_values, attention_mask, starts = read_source(self.lm, self.prompt, sources, self.scope, source_key_values)
        logits, _ = target_logits(self.lm, self.prompt.separator, targets[:, :-1], starts, past_key_values, attention_mask)
        if self.verbalizer is not None:
            logits = self.verbalizer(logits)
        return logits, targets[:, 1:]

    def loss(self, batch):
        """Return the summed cross entropy of the tokens after `<s>` (labels and `</s>`), and their number.

        SpeechPrompt also counts the prediction of `<s>`, which decoding never makes, and divides by the number of all tokens.
        """
        logits, expected = self.target_logits(*batch)
        return _cross_entropy(logits, expected, self.label_smoothing), int((expected != PAD).sum())

    def measures(self, batches):
        """Return loss and accuracy over batches.

        The loss is in nats per token, without label smoothing. The accuracy is the fraction of rows whose tokens are all
        predicted correctly, each of them from the correct tokens before it (teacher forcing).
        """
        loss = num_targets = num_right = num_rows = 0
        for batch in batches:
            logits, expected = self.target_logits(*batch)
            loss += float(_cross_entropy(logits, expected, 0.0))
            num_targets += int((expected != PAD).sum())
            num_right += int(((logits.argmax(-1) == expected) | (expected == PAD)).all(1).sum())
            num_rows += len(expected)
        return dict(loss=loss / num_targets, accuracy=num_right / num_rows)


def unfreeze(tuned, *, lora_rank, train_lm):
    """Train more of a `TunedLM` than its prompt.

    Args:
        tuned: changed in place.
        lora_rank: rank of trained updates of every query and value projection; 0: none.
        train_lm: whether all weights of the unit LM are trained.

    Raises:
        ValueError: if the scope is `target`, because the sources would then be read without the trained weights.
    """
    if (lora_rank or train_lm) and tuned.scope != "all":
        raise data_error(
            "tune_prompt",
            "lora_rank and train_lm need scope all, so that the source is read with the trained weights",
            expected="scope: all",
            got=f"scope: {tuned.scope}",
            remedy="correct the preset of tune_prompt in the config",
        )
    if lora_rank:
        tuned.lm.add_low_rank_updates(lora_rank)
    if train_lm:
        tuned.lm.requires_grad_(True)


class CachedSourceBatches:
    """Endless batches (sources, targets, source_key_values), each yielded `reuse_batches` times.

    Reading the sources takes most of the time of an update. With scope `target`, their keys and values do not depend on the
    prompt. Therefore they are computed once for a pool of batches, and each batch of the pool is then yielded several times, in
    random order.
    """

    def __init__(self, tuned, batches, reuse_batches, seed):
        """Wrap `batches` (a `SeededBatches` of sources and targets). The list `seed` decides the order within a pool."""
        self.tuned = tuned
        self.batches = batches
        self.reuse_batches = reuse_batches
        self.seed = seed
        self.position = 0
        self.num_pools = 0  # pools drawn so far
        self.pool = []  # batches of the current pool, repeated and shuffled

    def __iter__(self):
        return self

    def __next__(self):
        pool_index, position_in_pool = divmod(self.position, CACHED_BATCHES * self.reuse_batches)
        if pool_index >= self.num_pools:
            self.batches.skip((pool_index - self.num_pools) * CACHED_BATCHES)
            batches = [self._with_key_values(*batch) for batch in islice(self.batches, CACHED_BATCHES)]
            repeated = np.repeat(np.arange(CACHED_BATCHES), self.reuse_batches)
            self.pool = [batches[i] for i in np.random.default_rng([*self.seed, pool_index]).permutation(repeated)]
            self.num_pools = pool_index + 1
        self.position += 1
        return self.pool[position_in_pool]

    def skip(self, count):
        """Skip the next `count` batches."""
        self.position += count

    def _with_key_values(self, sources, targets):
        return sources, targets, read_without_prompt(self.tuned.lm, self.tuned.pad_sources(sources))


def answer_tokens(rows):
    """Return the sorted tokens that occur in answers of training rows, `</s>` included.

    Args:
        rows: rows of `BINARIZED`, of any split.
    """
    answers = [row["tokens"][row["num_source"] + 1 :] for row in rows if row["split"] == "train"]
    return sorted({token for answer in answers for token in answer})


def load_tuned(path, model, config, *, scope, answers, device, seeds=None):
    """Load what `tune_prompt` has written.

    Args:
        path: safetensors file that `tune_prompt` wrote.
        model, config: files of the unit LM that it tuned.
        scope: scope of the prompt, see `read_source`.
        answers: the result of `answer_tokens` for the rows that it was trained on.
        device: where to put the models.
        seeds: seeds to load; None: all.

    Returns:
        A dict from each seed to its `TunedLM` in evaluation mode.
    """
    from safetensors.torch import load_file

    shared_lm = cache(load)  # by all seeds that train none of its weights
    tuned = {}
    for seed, tensors in by_seed(load_file(path)).items():
        if seeds is None or seed in seeds:
            trains_lm = any(name.startswith("lm.") for name in tensors)
            lm = load(model, config) if trains_lm else shared_lm(model, config)
            tuned[seed] = _restored(lm, tensors, scope, answers).to(device).eval()
    return tuned


def by_seed(tensors):
    """Return a dict from each seed to its tensors by name; `tensors` are those of a file that `tune_prompt` wrote."""
    of_seed = {}
    for name, tensor in tensors.items():
        seed, _, key = name.partition(".")
        of_seed.setdefault(int(seed.removeprefix("seed")), {})[key] = tensor
    return dict(sorted(of_seed.items()))


def low_rank(tensors):
    """Return the rank of the low-rank updates among the tensors of one seed; 0 without any."""
    return max((len(tensor) for name, tensor in tensors.items() if name.endswith(LOW_RANK_FACTORS)), default=0)


def _restored(lm, tensors, scope, answers):
    """Return a `TunedLM` with the tensors of one seed. Their names and shapes tell what was trained."""
    if "prompt.vectors" in tensors:
        prompt = lm.new_prompt("input", len(tensors["prompt.vectors"]))
    elif "prompt.prefix" in tensors:
        prompt = lm.new_prompt("deep", len(tensors["prompt.prefix"]))
    else:
        prompt = lm.new_prompt("deep", tensors["prompt.keys"].shape[1])
    verbalizer = LinearVerbalizer(lm.vocabulary_size, answers) if "verbalizer.weight" in tensors else None
    tuned = TunedLM(lm, prompt, scope, 0.0, verbalizer)
    unfreeze(tuned, lora_rank=low_rank(tensors), train_lm=False)
    tuned.load_state_dict(tuned.state_dict() | tensors)
    return tuned


def _cross_entropy(logits, expected, label_smoothing):
    """Return the cross entropy of the expected tokens `[B, L]`, summed over all but padding."""
    flat = logits.flatten(0, 1).float()
    return F.cross_entropy(flat, expected.flatten(), ignore_index=PAD, reduction="sum", label_smoothing=label_smoothing)
