"""Write a unit LM of ours as a folder that `AutoModelForCausalLM` of the library transformers loads, with equal logits.

The architecture is XGLM, which is fairseq's decoder as well: pre-LayerNorm blocks, embeddings scaled by √d and tied to the output,
sinusoidal positions that start at 2, and ReLU as an option. The names of the tensors are ours with the prefix `model.`.

Tokens are numbered in one way for all unit LMs: 0 is `<s>`, 1 `<pad>`, 2 `</s>`, 3 `<unk>`, and unit u is u + 4, the key `offset` of
config.json. Other symbols of the vocabulary, which fairseq added, come last.

**Source:** XGLM, arXiv 2112.10668, in the library transformers.
"""

import torch
from safetensors.torch import load_file

from storage import tables
from storage.files import read_json
from storage.weights import save_config, save_tensors
from ulm.build_vocabulary import index_of_unit
from ulm.schemas import VOCABULARY
from ulm.vocabulary import EOS, PAD, SPECIALS

MAX_POSITIONS = 8_192  # XGLM makes more on demand


def token_order(vocabulary):
    """Return the vocabulary indices in the order of the exported tokens.

    Args:
        vocabulary: table of `VOCABULARY`.
    """
    index_of = index_of_unit(vocabulary)
    numbered = [*range(len(SPECIALS)), *(index_of[unit] for unit in sorted(index_of))]
    return numbered + sorted(set(vocabulary["index"].to_pylist()) - set(numbered))


def xglm_config(sizes):
    """Return config.json of XGLM for the sizes of a `UnitLMConfig`, by name."""
    return dict(
        architectures=["XGLMForCausalLM"],
        model_type="xglm",
        vocab_size=sizes["vocabulary_size"],
        num_layers=sizes["num_layers"],
        d_model=sizes["dim"],
        ffn_dim=sizes["ffn_dim"],
        attention_heads=sizes["num_heads"],
        activation_function="relu",
        scale_embedding=True,
        tie_word_embeddings=True,
        max_position_embeddings=MAX_POSITIONS,
        bos_token_id=EOS,  # it is read before a source
        eos_token_id=EOS,
        pad_token_id=PAD,
        decoder_start_token_id=EOS,
        offset=len(SPECIALS),
        torch_dtype="float32",
    )


def export_ulm(*, model, config, vocabulary, exported_model, exported_config):
    """Stage: write a unit LM that was trained here, or one of fairseq, for the library transformers.

    Args:
        model, config: safetensors and JSON file of the unit LM.
        vocabulary: its table of `VOCABULARY`.
        exported_model, exported_config: model.safetensors and config.json to write, in one folder.
    """
    tensors = load_file(model)
    order = torch.tensor(token_order(tables.read(vocabulary, VOCABULARY)))
    tensors["embed_tokens.weight"] = tensors["embed_tokens.weight"][order]
    save_tensors(exported_model, {f"model.{name}": tensor for name, tensor in tensors.items()})
    save_config(exported_config, xglm_config(read_json(config)))
