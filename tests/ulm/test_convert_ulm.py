"""A unit LM of fairseq computes the same after its conversion."""

import argparse
import io
import json
import tarfile

import pytest
import torch

from storage import tables
from storage.schemas import LOAD_REPORT
from ulm.build_vocabulary import index_of_unit
from ulm.convert_ulm import convert_ulm, dictionary_rows
from ulm.model import UnitLM, UnitLMConfig, load
from ulm.schemas import VOCABULARY

SIZES = dict(num_layers=2, dim=16, ffn_dim=32, num_heads=2)
LINES = "".join(f"{unit} {99 - i}\n" for i, unit in enumerate((3, 0, 2, 1))) + "madeupword0000 0\n"


def fairseq_lm(words):
    """Return fairseq's own TransformerLanguageModel with these sizes and random weights."""
    from fairseq.models.transformer_lm import TransformerLanguageModel, TransformerLanguageModelConfig

    config = TransformerLanguageModelConfig(
        decoder_layers=2, decoder_embed_dim=16, decoder_output_dim=16, decoder_input_dim=16, decoder_ffn_embed_dim=32,
        decoder_attention_heads=2, decoder_normalize_before=True, share_decoder_input_output_embed=True, dropout=0.0,
        activation_fn="relu",
    )  # fmt: skip
    config.max_target_positions = config.tokens_per_sample = 64
    torch.manual_seed(0)
    task = argparse.Namespace(source_dictionary=words, target_dictionary=words, output_dictionary=words, dictionary=words)
    return TransformerLanguageModel.build_model(config, task).eval()


def archive(path, tensors, lines=LINES):
    saved = io.BytesIO()
    torch.save(dict(args=argparse.Namespace(arch="transformer_lm_big"), model=tensors), saved)
    with tarfile.open(path, "w:gz") as made:
        for name, data in (("checkpoint_best.pt", saved.getvalue()), ("dict.txt", lines.encode())):
            member = tarfile.TarInfo(f"hubert4_lm/{name}")
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))


def convert(folder, **settings):
    names = dict(
        model="model.safetensors",
        config="config.json",
        vocabulary="v.parquet",
        task_prompts="p.safetensors",
        load_report="r.parquet",
    )
    paths = {name: folder / "out" / file for name, file in names.items()}
    (folder / "out").mkdir(exist_ok=True)
    convert_ulm(checkpoint=[folder / "lm.tgz"], sha256=["-"], **paths, **dict(sizes=SIZES, num_units=4) | settings)
    return paths


@pytest.fixture
def tensors():
    converted = {f"decoder.{name}": tensor for name, tensor in UnitLM(UnitLMConfig(9, **SIZES)).state_dict().items()}
    return converted | {
        "decoder.output_projection.weight": converted["decoder.embed_tokens.weight"],
        "decoder.version": torch.tensor([3.0]),
    }


def test_logits_equal_those_of_fairseq(tmp_path):
    from fairseq.data import Dictionary

    (tmp_path / "dict.txt").write_text(LINES)
    words = Dictionary.load(str(tmp_path / "dict.txt"))
    lm = fairseq_lm(words)
    archive(tmp_path / "lm.tgz", lm.state_dict())
    paths = convert(tmp_path)
    tokens = torch.tensor([[2, 4, 6, 5, 4, 7, 0, 5]])
    with torch.no_grad():
        expected, converted = lm(tokens)[0], load(paths["model"], paths["config"])(tokens)
    assert torch.allclose(converted, expected, atol=1e-5) and expected.abs().max() > 0.01
    assert tables.read(paths["vocabulary"], VOCABULARY)["symbol"].to_pylist() == words.symbols
    report = {row["source"]: row["name"] for row in tables.read(paths["load_report"], LOAD_REPORT).to_pylist()}
    assert report.keys() == lm.state_dict().keys() and report["decoder.output_projection.weight"] == ""
    assert not [path for path in tmp_path.rglob(".*")]


def test_the_vocabulary_keeps_the_order_of_the_dictionary(tmp_path, tensors):
    archive(tmp_path / "lm.tgz", tensors)
    paths = convert(tmp_path)
    vocabulary = tables.read(paths["vocabulary"], VOCABULARY)
    assert index_of_unit(vocabulary) == {3: 4, 0: 5, 2: 6, 1: 7}
    assert vocabulary["count"].to_pylist() == [0, 0, 0, 0, 99, 98, 97, 96, 0]
    assert json.loads(paths["config"].read_text())["num_parameters"] == sum(
        p.numel() for p in UnitLM(UnitLMConfig(9, **SIZES)).parameters()
    )


def test_half_precision_becomes_single(tmp_path, tensors):
    archive(tmp_path / "lm.tgz", {name: tensor.half() for name, tensor in tensors.items()})
    paths = convert(tmp_path)
    lm = load(paths["model"], paths["config"])
    assert {tensor.dtype for tensor in lm.state_dict().values()} == {torch.float32}
    assert torch.equal(lm.embed_tokens.weight, tensors["decoder.embed_tokens.weight"].half().float())
    assert "float16" in tables.read(paths["load_report"], LOAD_REPORT)["dtype"].to_pylist()


@pytest.mark.parametrize("change, text", [
    (lambda t: t.pop("decoder.layers.1.fc1.bias"), "got layers.1.fc1.bias missing;"),
    (lambda t: t.update({"decoder.layers.2.fc1.bias": torch.ones(32)}), "got layers.2.fc1.bias [32];"),
    (lambda t: t.update({"decoder.layer_norm.bias": torch.ones(7)}), "got layer_norm.bias [7];"),
    (lambda t: t.update({"decoder.output_projection.weight": torch.ones(9, 16)}), "input and output embeddings are tied"),
])  # fmt: skip
def test_tensors_that_do_not_fit_are_named(tmp_path, tensors, change, text):
    change(tensors)
    archive(tmp_path / "lm.tgz", tensors)
    with pytest.raises(ValueError, match=r"lm.tgz: .*; correct preset or codebook in config/ulms.tsv") as caught:
        convert(tmp_path)
    assert text in str(caught.value) and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("text, num_units, message", [
    ("0 5\n1 4\n", 3, "a dictionary has each unit once; expected 0 to 2, got 2 units (missing, repeated or unknown: [2])"),
    ("0 5\n1 4\n2 1\n", 2, "expected 0 to 1, got 3 units (missing, repeated or unknown: [2])"),
    ("0 5\n0 4\n", 1, "expected 0 to 0, got 2 units (missing, repeated or unknown: [0])"),
    ("hello 5\n", 1, "each line of a dictionary is a unit and its count; expected a line such as '71 4923', got 'hello 5'"),
    ("0 many\n", 1, "got '0 many'"), ("0\n", 1, "got '0'"), ("<html>", 1, "got '<html>'"),
])  # fmt: skip
def test_another_dictionary_is_refused(text, num_units, message):
    with pytest.raises(ValueError) as caught:
        dictionary_rows(text, num_units, "lm.tgz")
    assert message in str(caught.value)
