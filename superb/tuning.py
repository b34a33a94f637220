"""Ways of tuning an encoder for a task: what is added to the encoder, and which of its own parameters are trained.

`METHODS[method](trunk, **settings)` makes those parameters of the trunk trainable that the method trains, and returns the
`EncoderTuning` that the method adds. The numbers of trained parameters below are for 12 blocks of 768 dimensions.
"""

import torch
import torch.nn.functional as F
from torch import nn

from storage.errors import data_error, nearest
from superb.hidden_states import EncoderTuning
from superb.prompts import DeepPrompt, InputPrompt


class LoRAUpdate(nn.Module):
    """Forward hook that adds B A x to some outputs of a linear map of x.

    A `[rank, in_dim]` starts at random and B `[rows, rank]` starts at zero, so that nothing changes at first.
    """

    def __init__(self, in_dim, out_dim, rows, rank):
        """Create the update.

        Args:
            in_dim: number of inputs of the linear map.
            out_dim: number of its outputs.
            rows: slice of the outputs to update.
            rank: rank of the update.
        """
        super().__init__()
        self.margins = rows.start, out_dim - rows.stop
        self.a = nn.Parameter(torch.randn(rank, in_dim) * in_dim**-0.5)
        self.b = nn.Parameter(torch.zeros(rows.stop - rows.start, rank))

    def forward(self, module, args, output):
        """Return the updated output of the linear map."""
        return output + F.pad(F.linear(F.linear(args[0], self.a), self.b), self.margins)


class Adapter(nn.Module):
    """Forward hook that passes a module's output through a narrow layer and adds the result to it; the result starts at zero."""

    def __init__(self, dim, bottleneck):
        super().__init__()
        self.down = nn.Linear(dim, bottleneck)
        self.up = nn.Linear(bottleneck, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, module, args, output):
        """Return the module's output plus the output of the narrow layer."""
        return output + self.up(F.gelu(self.down(output)))


class LoRA(EncoderTuning):
    """Low-rank updates of the query and value projections: 294,912 parameters at rank 8.

    **Source:** arXiv 2106.09685, equation 3, with α = r.
    """

    def __init__(self, trunk, *, rank):
        """Add the updates of the given rank to the blocks of the trunk."""
        super().__init__()
        outputs = []
        for block in trunk.blocks:
            queries, _, values = block.qkv_outputs()
            outputs += [queries, values]
        self.updates = nn.ModuleList(
            LoRAUpdate(projection.in_features, projection.out_features, rows, rank) for projection, rows in outputs
        )
        for (projection, _), update in zip(outputs, self.updates):
            projection.register_forward_hook(update)


class Adapters(EncoderTuning):
    """Adapters in each block, before the residual is added: 599,424 parameters at a bottleneck of 32, without `both`.

    **Source:** arXiv 1902.00751, figure 2. Without `both`, they are the 0.60 M parameters of arXiv 2210.06175.
    """

    def __init__(self, trunk, *, bottleneck, both):
        """Add the adapters to the blocks of the trunk.

        Args:
            trunk: the encoder.
            bottleneck: dimension of the narrow layer.
            both: True: one adapter after the attention and one after the feed-forward part. False: only the latter.
        """
        super().__init__()
        layers = [block.fc2 for block in trunk.blocks]
        if both:
            layers += [block.output_projection for block in trunk.blocks]
        self.adapters = nn.ModuleList(Adapter(trunk.dim, bottleneck) for _ in layers)
        for layer, adapter in zip(layers, self.adapters):
            layer.register_forward_hook(adapter)


def tune_nothing(trunk):
    """Train nothing in the encoder: the head reads the weighted sum of the layers."""
    return EncoderTuning()


def tune_biases(trunk):
    """Train the biases of the blocks, including layer norms: 101,376 parameters. **Source:** BitFit, arXiv 2106.10199."""
    for block in trunk.blocks:
        for name, parameter in block.named_parameters():
            parameter.requires_grad_(name.rpartition(".")[2] == "bias")
    return EncoderTuning()


def tune_everything(trunk):
    """Train all parameters of the encoder, including those of the convolutions."""
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
    """Freeze the trunk except for what a method trains, and return the `EncoderTuning` that the method adds.

    Args:
        trunk: the encoder.
        method: a key of `METHODS`.
        settings: settings of the method, see its class.

    Raises:
        ValueError: if the method is unknown.
    """
    if method not in METHODS:
        raise data_error(
            "tune_encoder",
            "'method' must be a way of tuning",
            expected=f"one of {sorted(METHODS)}",
            got=f"'{method}'",
            remedy=f"{nearest(method, METHODS)}correct it in the preset",
        )
    return METHODS[method](trunk.requires_grad_(False), **settings)
