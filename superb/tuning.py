"""Ways of tuning a speech encoder for a task: what is put into it, and which of its own parameters are trained.

`METHODS[method](trunk, **settings)` yields what is put into the trunk (an `EncoderTuning`), whose parameters are trained, after it
has let train those of the trunk that are; the sizes for 12 blocks of 768 dimensions are beside each.
"""

import torch
import torch.nn.functional as F
from torch import nn

from storage.errors import data_error, nearest
from superb.hidden_states import EncoderTuning
from superb.prompts import DeepPrompt, InputPrompt


class LoRAUpdate(nn.Module):
    """Adds B A x to rows of what a projection of x yields, with A `[rank, D]` random and B `[rows, rank]` zero at first."""

    def __init__(self, in_dim, out_dim, rows, rank):
        super().__init__()
        self.margins = rows.start, out_dim - rows.stop
        self.a = nn.Parameter(torch.randn(rank, in_dim) * in_dim**-0.5)
        self.b = nn.Parameter(torch.zeros(rows.stop - rows.start, rank))

    def forward(self, module, args, output):
        """A forward hook of the projection."""
        return output + F.pad(F.linear(F.linear(args[0], self.a), self.b), self.margins)


class Adapter(nn.Module):
    """Adds to what a module yields a function of it through a narrow layer; nothing at first."""

    def __init__(self, dim, bottleneck):
        super().__init__()
        self.down, self.up = nn.Linear(dim, bottleneck), nn.Linear(bottleneck, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, module, args, output):
        """A forward hook of the module."""
        return output + self.up(F.gelu(self.down(output)))


class LoRA(EncoderTuning):
    """Updates of low rank of the query and value projections: 294,912 at rank 8.

    **Source:** arXiv 2106.09685, equation 3, with α = r.
    """

    def __init__(self, trunk, *, rank):
        super().__init__()
        places = []
        for block in trunk.blocks:
            queries, _, values = block.qkv_outputs()
            places += [queries, values]
        self.updates = nn.ModuleList(
            LoRAUpdate(projection.in_features, projection.out_features, rows, rank) for projection, rows in places
        )
        for (projection, _), update in zip(places, self.updates):
            projection.register_forward_hook(update)


class Adapters(EncoderTuning):
    """Adapters behind the feed-forward part of each block, and if `both` behind attention as well, inside the residual.

    599,424 at a bottleneck of 32, behind the feed-forward part alone. **Source:** arXiv 1902.00751, figure 2; behind the
    feed-forward part alone: the 0.60 M of arXiv 2210.06175.
    """

    def __init__(self, trunk, *, bottleneck, both):
        super().__init__()
        places = [block.fc2 for block in trunk.blocks]
        places += [block.output_projection for block in trunk.blocks] if both else []
        self.adapters = nn.ModuleList(Adapter(trunk.dim, bottleneck) for place in places)
        for place, adapter in zip(places, self.adapters):
            place.register_forward_hook(adapter)


def tune_nothing(trunk):
    """The weighted sum alone: nothing of the encoder is trained."""
    return EncoderTuning()


def tune_biases(trunk):
    """Biases of the blocks, layer norms' among them: 101,376. **Source:** BitFit, arXiv 2106.10199."""
    for block in trunk.blocks:
        for name, parameter in block.named_parameters():
            parameter.requires_grad_(name.rpartition(".")[2] == "bias")
    return EncoderTuning()


def tune_everything(trunk):
    """Full fine-tuning, the convolutions included."""
    trunk.requires_grad_(True)
    return EncoderTuning()


METHODS = dict(
    weighted_sum=tune_nothing,
    input_prompt=InputPrompt,
    deep_prompt=DeepPrompt,
    lora=LoRA,
    adapter=Adapters,
    bitfit=tune_biases,
    full=tune_everything,
)


def prepare(trunk, *, method, **settings):
    """Freezes the trunk but for what `method` trains of it; what is put into it. Raises `ValueError` for an unknown method."""
    if method not in METHODS:
        raise data_error(
            "tuning",
            "'method' names a way of tuning",
            expected=f"one of {sorted(METHODS)}",
            got=f"'{method}'",
            remedy=f"{nearest(method, METHODS)}correct the preset in config/config.yaml",
        )
    return METHODS[method](trunk.requires_grad_(False), **settings)
