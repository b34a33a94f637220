"""What is trained for a task on a frozen unit LM: a prompt, and where asked low-rank updates, a verbalizer, or all of it."""

from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from storage.errors import data_error
from ulm.build_vocabulary import EOS, PAD
from ulm.data import pad_rows
from ulm.model import load
from ulm.prompt import DeepPrompt, InputPrompt, read_alone, read_source, target_logits

POOL = 8  # batches whose keys and values are in memory together
MASKED_LOGIT = -30.0  # logit of what no answer contains; finite, as label smoothing asks for a little of everything


class LowRank(nn.Module):
    """Weight `[out, in]` → weight + B A, with A `[rank, in]` random and B `[out, rank]` zero at first.

    **Source:** LoRA, arXiv 2106.09685, equation 3, with α = r.
    """

    def __init__(self, weight, rank):
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, weight.shape[1]) * weight.shape[1] ** -0.5)
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight):
        return weight + self.b @ self.a


class LinearVerbalizer(nn.Module):
    """Logits over the vocabulary → learned mixtures of them for the tokens that answers are made of, and `MASKED_LOGIT` elsewhere.

    It starts as the identity. **Source:** SpeechPrompt v2, arXiv 2303.00733, section III-D; its dropout is left out.
    """

    def __init__(self, vocabulary_size, answers):
        super().__init__()
        self.answers = list(answers)
        self.weight = nn.Parameter(F.one_hot(torch.tensor(self.answers), vocabulary_size).float())

    def forward(self, logits):
        mixed = torch.full_like(logits, MASKED_LOGIT)
        mixed[..., self.answers] = F.linear(logits, self.weight.to(logits.dtype))
        return mixed


class Tuned(nn.Module):
    """A unit LM under a prompt. The LM is frozen; what else is trained is added afterwards."""

    def __init__(self, lm, prompt, scope, label_smoothing, verbalizer=None):
        super().__init__()
        self.lm, self.prompt, self.verbalizer = lm.requires_grad_(False), prompt, verbalizer
        self.scope, self.label_smoothing = scope, label_smoothing

    def train(self, mode=True):
        """The LM's own dropout stays off."""
        super().train(mode)
        self.lm.eval()
        return self

    def padded(self, sources):
        """Rows `u1 … uN` → `</s> u1 … uN` `[B, T]`."""
        return pad_rows([[EOS, *row] for row in sources], self.prompt.separator.device)

    def target_logits(self, sources, targets, read=None):
        """Logits `[B, L, V]` after `<s> y1 … yk`, and the tokens `[B, L]` that ought to come (`<pad>`: none).

        sources: rows `u1 … uN`; targets: rows `<s> y1 … yk </s>`; read: see `read_source`.
        """
        sources = self.padded(sources)
        targets = pad_rows(targets, sources.device)
        past, visible = read_source(self.lm, self.prompt, sources, self.scope, read)
        starts = (sources != PAD).sum(1, keepdim=True)
        logits = target_logits(self.lm, self.prompt.separator, targets[:, :-1], starts, past, visible)[0]
        return self.verbalizer(logits) if self.verbalizer else logits, targets[:, 1:]

    def loss(self, batch):
        """(sources, targets, perhaps `read`) → summed cross entropy of what follows `<s>` (labels and `</s>`), and how many tokens that is.

        The ancestors also count the prediction of `<s>`, which decoding never makes, and divide by all tokens.
        """
        logits, wanted = self.target_logits(*batch)
        return _cross_entropy(logits, wanted, self.label_smoothing), int((wanted != PAD).sum())

    def measures(self, batches):
        """Loss in nats a token, without smoothing, and accuracy (every token right, given those before) over batches."""
        loss = targets = right = rows = 0
        for batch in batches:
            logits, wanted = self.target_logits(*batch)
            loss += float(_cross_entropy(logits, wanted, 0.0))
            targets += int((wanted != PAD).sum())
            right += int(((logits.argmax(-1) == wanted) | (wanted == PAD)).all(1).sum())
            rows += len(wanted)
        return dict(loss=loss / targets, accuracy=right / rows)


def unfreeze(tuned, *, lora_rank, train_lm):
    """Let low-rank updates of every query and value projection be trained as well, or all of the unit LM."""
    if (lora_rank or train_lm) and tuned.scope != "all":
        raise data_error(
            "tune_prompt",
            "a unit LM that is changed must read the source changed",
            expected="scope: all",
            got=f"scope: {tuned.scope}",
            remedy="correct the preset in config/config.yaml",
        )
    tuned.lm.requires_grad_(train_lm)
    for layer in tuned.lm.layers if lora_rank else []:
        for projection in (layer.self_attn.q_proj, layer.self_attn.v_proj):
            parametrize.register_parametrization(projection, "weight", LowRank(projection.weight, lora_rank))


class CachedSourceBatches:
    """Every (sources, targets) of `batches` (`SeededBatches`) `times` times, scattered among others, with its sources read once.

    Reading costs most of an update, and under scope `target` no prompt changes what is read. `seed` (a list) decides the
    order. Endless, as the batches are.
    """

    def __init__(self, tuned, batches, times, seed):
        self.tuned, self.batches, self.times, self.seed = tuned, batches, times, seed
        self.position, self.num_pools, self.order = 0, 0, []

    def __iter__(self):
        return self

    def __next__(self):
        pool, place = divmod(self.position, POOL * self.times)
        if pool >= self.num_pools:
            self.batches.skip((pool - self.num_pools) * POOL)
            read = [(*batch, read_alone(self.tuned.lm, self.tuned.padded(batch[0]))) for batch in islice(self.batches, POOL)]
            order = np.random.default_rng([*self.seed, pool]).permutation(np.repeat(np.arange(POOL), self.times))
            self.num_pools, self.order = pool + 1, [read[i] for i in order]
        self.position += 1
        return self.order[place]

    def skip(self, count):
        """Go on behind the next `count` batches."""
        self.position += count


def answer_tokens(rows):
    """Tokens that answers of training rows (`BINARIZED`) are made of, `</s>` among them, in order."""
    return sorted({token for row in rows if row["split"] == "train" for token in row["tokens"][row["num_source"] + 1 :]})


def load_tuned(path, model, config, *, scope, answers, device):
    """Seed → `Tuned` in evaluation mode, from the file that `tune_prompt` writes and the unit LM that it tuned."""
    from safetensors.torch import load_file

    by_seed = {}
    for name, tensor in load_file(path).items():
        seed, _, key = name.partition(".")
        by_seed.setdefault(int(seed.removeprefix("seed")), {})[key] = tensor
    return {
        seed: _restored(load(model, config), tensors, scope, answers).to(device).eval()
        for seed, tensors in sorted(by_seed.items())
    }


def _restored(lm, tensors, scope, answers):
    if "prompt.vectors" in tensors:
        prompt = InputPrompt(lm.config, len(tensors["prompt.vectors"]))
    else:
        prompt = DeepPrompt(lm.config, tensors["prompt.keys"].shape[1])
    verbalizer = LinearVerbalizer(lm.config.vocabulary_size, answers) if "verbalizer.weight" in tensors else None
    tuned = Tuned(lm, prompt, scope, 0.0, verbalizer)
    unfreeze(tuned, lora_rank=max((len(t) for n, t in tensors.items() if n.endswith(".a")), default=0), train_lm=False)
    tuned.load_state_dict(tuned.state_dict() | tensors)
    return tuned


def _cross_entropy(logits, wanted, label_smoothing):
    flat = logits.flatten(0, 1).float()
    return F.cross_entropy(flat, wanted.flatten(), ignore_index=PAD, reduction="sum", label_smoothing=label_smoothing)
