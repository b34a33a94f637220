"""Checkpoints in the format of MelHuBERT's authors, whole or pruned: read and written.

A checkpoint is a dictionary with the weights under `model` and the sizes under `Upstream_Config`. The mean and standard
deviation of the training data are in a .npy file, an array `[2, 40]`. A pruned model differs from a whole one as follows:

* Heads: `Pruned_heads` has one dictionary per step of pruning, from the number of a block to the positions of the removed heads
  among those that the block had before this step. The matrices are smaller; the sizes still have the number of heads before
  pruning.
* Feed-forward rows: the matrices are smaller, and so is `encoder_ffn_embed_dim`, which all blocks share.
* Weights: in place of `weight` (and `bias`) there are `weight_orig` and `weight_mask`, whose product it is.

**Source:** https://github.com/nervjack2/MelHuBERT and https://github.com/nervjack2/Speech-SSL-Compression.
"""

import re

import torch

from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.loading import FRONT_END_TENSORS, sizes_from
from speech2unit.encoders.models.log_mel import NUM_MELS
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.melhubert_names import our_name, published_name
from storage.errors import data_error
from storage.untrusted.checkpoints import read_entry
from storage.untrusted.renaming import rename_tensors, report_row

PRUNED_HEADS = "Pruned_heads"
MASKED = r"(.+)_(orig|mask)"  # names of the two tensors of a pruned weight or bias


def sizes_from_checkpoint(sizes, tensors, path):
    """Return the sizes of a published checkpoint, which may have fewer heads and feed-forward rows than its preset says.

    Args:
        sizes: dict of the fields of `MelHuBERTConfig`, those before pruning.
        tensors: dict from published name to tensor.
        path: path of the checkpoint.

    Returns:
        `sizes`. If heads or rows were pruned, it has the entry `layers`, see
        `speech2unit.encoders.models.compressed_layers.layer_sizes`.

    Raises:
        ValueError: if `Pruned_heads` is damaged, or if heads are missing but `Pruned_heads` does not say which.
    """
    heads = _heads_left(read_entry(path, PRUNED_HEADS) or [], sizes, path)
    layers = []
    for number, block_heads in enumerate(heads):
        block = f"encoder.layers.{number}"
        ffn_dim = _num_rows(tensors, f"{block}.fc1.weight", sizes["ffn_dim"])
        dim_of_heads = _num_rows(tensors, f"{block}.self_attn.q_proj.weight", sizes["dim"])
        if dim_of_heads < sizes["dim"] and len(block_heads) == sizes["num_heads"]:
            raise data_error(
                path,
                f"a checkpoint without all of its heads names the removed ones under '{PRUNED_HEADS}'",
                expected=f"{sizes['dim']} rows in {block}.self_attn.q_proj.weight, or '{PRUNED_HEADS}'",
                got=f"{dim_of_heads} rows, and no '{PRUNED_HEADS}'",
                remedy="take the file that the pruning program saved, not its weights alone",
            )
        layers.append(dict(heads=block_heads, ffn_dim=ffn_dim, ranks={}))
    whole = dict(heads=list(range(sizes["num_heads"])), ffn_dim=sizes["ffn_dim"], ranks={})
    return sizes if all(layer == whole for layer in layers) else sizes | dict(layers=layers)


def convert(tensors, sizes):
    """Convert a published checkpoint.

    Args:
        tensors: dict from published name to tensor. It also has `mean_std`, an array `[2, 40]`.
        sizes: the result of `sizes_from_checkpoint`, and `subtract_loudness` of the front end.

    Returns:
        A dict from our name to tensor, and the rows of a load report.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    with torch.device("meta"):
        model = resize(MelHuBERTModel(sizes_from(sizes, MelHuBERTConfig)), sizes.get("layers", []))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()} | {"mean_std": (2, NUM_MELS)}
    unmasked, sources = _apply_masks(tensors)
    names = {published: our_name(published) for published in unmasked}
    renamed, _ = rename_tensors("melhubert", names, unmasked, shapes, sizes)
    mean, std = renamed.pop("mean_std").float()
    rows = [report_row(source, names[published], tensors[source]) for source, published in sources.items()]
    return renamed | dict(mean=mean, std=std), rows


def published_checkpoint(tensors, settings, place):
    """Return an encoder in the format of its authors.

    Args:
        tensors: dict from our name to tensor, as `storage.weights.load_tensors` reads model.safetensors.
        settings: content of config.json.
        place: path of config.json, for the error message.

    Returns:
        A dictionary with `model`, `Upstream_Config` and, if heads were pruned, `Pruned_heads`; and mean and standard deviation
        `[2, 40]`. Weights that were pruned to 0 are stored as zeros.

    Raises:
        ValueError: if the format has no place for several sets of targets, for a front end that subtracts the loudness, for
            factorized matrices, or for blocks with different numbers of feed-forward rows.
    """
    layers = settings.get("layers", [])
    _check_front_end_and_targets(settings, place)
    _check_layers(layers, place)
    sizes = dict(
        feat_emb_dim=NUM_MELS * settings["frame_ms"] // 10,
        pos_emb_type="conv",
        pos_conv_depth=1,
        conv_pos=settings["conv_kernel"],
        conv_pos_groups=settings["conv_groups"],
        encoder_layers=settings["num_layers"],
        encoder_embed_dim=settings["dim"],
        encoder_ffn_embed_dim=layers[0]["ffn_dim"] if layers else settings["ffn_dim"],
        encoder_attention_heads=settings["num_heads"],
        activation_fn="gelu",
        layer_norm_first=False,
        attention_type="original",
        num_cluster=settings["num_targets"][0],
    )
    model = {published_name(name): tensor for name, tensor in tensors.items() if name not in FRONT_END_TENSORS}
    checkpoint = dict(model=model, Upstream_Config=dict(melhubert=sizes))
    removed_heads = {}
    for number, layer in enumerate(layers):
        removed = [head for head in range(settings["num_heads"]) if head not in layer["heads"]]
        if removed:
            removed_heads[number] = removed
    if removed_heads:
        checkpoint[PRUNED_HEADS] = [removed_heads]
    return checkpoint, torch.stack([tensors["mean"], tensors["std"]])


def _heads_left(steps, sizes, path):
    """Return the list of the heads that each block still has, numbered as before pruning.

    Args:
        steps: what a checkpoint has under `Pruned_heads`.
        sizes, path: as in `sizes_from_checkpoint`.

    Raises:
        ValueError: if `steps` is anything else than the removed heads of each step.
    """
    heads = [list(range(sizes["num_heads"])) for _ in range(sizes["num_layers"])]
    try:
        for step in steps:
            for number, positions in step.items():
                # `range.index` accepts whole numbers of the range alone, so neither -1 nor an object of the pickle.
                left = heads[range(len(heads)).index(number)]
                removed = {left[range(len(left)).index(position)] for position in positions[: len(left)]}
                heads[number] = [head for head in left if head not in removed]
                if len(removed) < len(positions) or not heads[number]:
                    raise ValueError(f"{len(positions)} heads removed from block {number}, which has {len(left)}")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise data_error(
            path,
            f"'{PRUNED_HEADS}' names the heads that each step of pruning removed from each block",
            expected=f"a list of dictionaries, block 0 to {len(heads) - 1} → list of positions among its heads, not all of them",
            got=f"{error!s:.200}",
            remedy="name a preset with the sizes before pruning in column 'preset' of config/encoders.tsv, or take another file",
        ) from error
    return heads


def _num_rows(tensors, name, default):
    """Return the number of rows of a matrix, which may be stored with a mask; `default` if the checkpoint lacks it."""
    matrix = tensors.get(name, tensors.get(f"{name}_orig"))
    return default if matrix is None or matrix.ndim != 2 else len(matrix)


def _apply_masks(tensors):
    """Replace the two tensors of each pruned weight by their product.

    Args:
        tensors: dict from published name to tensor.

    Returns:
        Dict from published name, without the suffix `_orig`, to tensor; and a dict from each of the names in `tensors` to the one
        in the first dict.
    """
    products = {}
    sources = {}
    for source, tensor in tensors.items():
        match = re.fullmatch(MASKED, source)
        partners = {f"{match[1]}_orig", f"{match[1]}_mask"} if match else set()
        if match and partners <= tensors.keys() and len({tensors[name].shape for name in partners}) == 1:
            products[match[1]] = tensors[f"{match[1]}_orig"] * tensors[f"{match[1]}_mask"]
            sources[source] = match[1]
        else:
            products[source] = tensor
            sources[source] = source
    return products, sources


def _check_front_end_and_targets(settings, place):
    """Raise `ValueError` if the published format has no place for the front end or the targets of an encoder."""
    if len(settings["num_targets"]) != 1 or settings["subtract_loudness"]:
        raise data_error(
            place,
            "the published format has one set of targets and a front end that keeps the loudness",
            expected="a list of one, subtract_loudness: false",
            got=f"{settings['num_targets']}, subtract_loudness: {settings['subtract_loudness']}",
            remedy="pre-train with one codebook as targets, on a log-Mel encoder of preset published",
        )


def _check_layers(layers, place):
    """Raise `ValueError` if the published format has no place for the sizes of the blocks, the `layers` of a config.json."""
    factorized = [f"{name} of block {number}" for number, layer in enumerate(layers) for name in layer["ranks"]]
    if factorized:
        raise data_error(
            place,
            "the published format has no factorized matrices",
            expected="no ranks in 'layers'",
            got=f"{len(factorized)} factorized matrices, the first one {factorized[0]}",
            remedy="export its parent, or an encoder of recipe prune_heads, prune_rows or prune_weights",
        )
    row_counts = [layer["ffn_dim"] for layer in layers]
    if len(set(row_counts)) > 1:
        raise data_error(
            place,
            "in the published format all blocks have the same number of feed-forward rows",
            expected="one number",
            got=f"{row_counts}",
            remedy="export its parent, or an encoder of recipe prune_rows, which removes equally many rows from each block",
        )
