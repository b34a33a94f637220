"""Published files put there by hand: an encoder, a codebook and two unit LMs, tiny and random, become a task's accuracy."""

import argparse
import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading

import joblib
import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file
from sklearn.cluster import MiniBatchKMeans

from inference import Recognizer
from speech2unit.encoders.architectures.cpc import CPCConfig, CPCModel
from tests.workflow.bundle_checks import recordings
from ulm.model import UnitLM, UnitLMConfig

NUM_UNITS = 14
EXPORTED = ("results/ulm/published/transformers/config.json", "results/SCR_causal/adapters")
ORDER = np.random.default_rng(5).permutation(NUM_UNITS)


def cpc_checkpoint(path):
    """A random CPC under the names of its authors, beside the settings of its training."""
    torch.manual_seed(1)
    tensors = {}
    for name, tensor in CPCModel(CPCConfig(conv_dim=8, dim=6, num_layers=2)).state_dict().items():
        part, number, rest = name.split(".", 2)
        source = {"convs": f"gEncoder.conv{number}.{rest}", "norms": f"gEncoder.batchNorm{number}.{rest}"}
        tensors[source.get(part, f"gAR.baseNet.{rest[:-1]}{number}")] = tensor
    torch.save({"config": argparse.Namespace(hiddenGar=6), "weights": tensors, "best": 3}, path)


def codebook(path):
    frames = np.random.default_rng(2).normal(scale=0.3, size=(400, 6)).astype(np.float32)
    joblib.dump(MiniBatchKMeans(NUM_UNITS, n_init=1, random_state=0).fit(frames), path)


def unit_lm(path):
    """A random unit LM as fairseq names it, with a dict.txt ordered by frequency, in one archive."""
    torch.manual_seed(3)
    lm = UnitLM(UnitLMConfig(4 + NUM_UNITS + 6, 2, 32, 64, 4))
    tensors = {f"decoder.{name}": tensor for name, tensor in lm.state_dict().items()}
    tensors |= {"decoder.version": torch.tensor([3.0]), "decoder.embed_positions._float_tensor": torch.zeros(1)}
    tensors["decoder.output_projection.weight"] = tensors["decoder.embed_tokens.weight"]
    saved, words = (
        io.BytesIO(),
        [f"{unit} {900 - i}" for i, unit in enumerate(ORDER)] + [f"madeupword{i:04d} 0" for i in range(6)],
    )
    torch.save(
        {"args": argparse.Namespace(arch="transformer_lm_big"), "model": tensors}, saved, _use_new_zipfile_serialization=False
    )
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("checkpoint_best.pt", saved.getvalue()), ("dict.txt", ("\n".join(words) + "\n").encode())):
            member = tarfile.TarInfo(f"lm/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return lm


def causal_lm(folder):
    """A random Llama of transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(4)
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    LlamaForCausalLM(LlamaConfig(vocab_size=3 + NUM_UNITS, bos_token_id=1, eos_token_id=2, **sizes)).save_pretrained(folder)


@pytest.fixture(scope="module")
def published(new_project):
    """A project whose files were put there by hand, after the run of a task on each unit LM; and one of them."""
    made = new_project("published")
    for name in ("tiny_cpc", "tiny_km", "tiny_lm", "tiny_causal_lm"):
        (made / "resources" / name).mkdir(parents=True)
    cpc_checkpoint(made / "resources/tiny_cpc/cpc.pt")
    codebook(made / "resources/tiny_km/km.bin")
    made.lm = unit_lm(made / "resources/tiny_lm/lm.tgz")
    causal_lm(made / "resources/tiny_causal_lm")
    made.snakemake("--cores", 1, "results/SCR_published/acc.json", "results/SCR_causal/bundle", *EXPORTED)
    return made


def test_a_task_on_published_models_ends_with_its_accuracy(published):
    report = json.loads((published / "results/SCR_published/acc.json").read_text())
    assert report["names"]["ulm"] == "published" and 0 <= report["accuracy"] <= 1
    stages = {stage.split(".")[-1] for stage in report["usage"]}
    assert stages >= {"convert_encoder", "convert_codebook", "convert_ulm", "extract_features", "tune_prompt"}
    assert not stages & {"download_checkpoint", "pretrain_ulm", "build_vocabulary", "fit_codebook"}


@pytest.mark.parametrize("batch_size", [1, 32])
def test_the_bundle_of_a_task_on_transformers_answers_as_samples_parquet_says(published, batch_size):
    report = json.loads((published / "results/SCR_causal/acc.json").read_text())
    assert report["names"]["ulm"] == "causal" and "ulm.convert_causal_lm" in report["usage"]
    assert report["trained_parameters"] == 2 * (2 * 2 * 2 * 8)  # length · layers · keys and values · heads · their width
    samples = pandas.read_parquet(published / "results/SCR_causal/samples.parquet")
    recognizer = Recognizer.load(published / "results/SCR_causal/bundle")
    assert recognizer.description["extra_packages"] == ["transformers"]
    paths = recordings(published, "commands", samples.utterance_id)
    answers = list(recognizer.stream(paths, batch_size, names=samples.utterance_id))
    assert [list(answer.labels) for answer in answers] == [list(labels) for labels in samples.predicted_labels]
    assert [answer.score for answer in answers] == pytest.approx(list(samples.score), abs=1e-2)  # in bfloat16 where there is


def test_unit_lms_and_prompts_are_exported(published):
    assert load_file(published / "results/ulm/published/transformers/model.safetensors").keys() == {
        f"model.{name}" for name in published.lm.state_dict()
    }
    (seed,) = (published / "results/SCR_causal/adapters").glob("seed*")
    settings = json.loads((seed / "adapter_config.json").read_text())
    assert settings["peft_type"] == "PREFIX_TUNING" and settings["num_virtual_tokens"] == 2
    prefix = load_file(published / "results/SCR_causal/prompt.safetensors")["seed1.prompt.prefix"]
    assert torch.equal(load_file(seed / "adapter_model.safetensors")["prompt_embeddings"], prefix)


def test_every_table_opens(published, open_every_table):
    tables = {path.stem: table for path, table in open_every_table(published / "results").items()}
    assert tables["centroids"].num_rows == NUM_UNITS and tables["centroids"]["num_frames"].null_count == NUM_UNITS
    assert tables["projection"].num_rows == 0 and tables["load_report"].num_rows > 5


def test_the_unit_lm_is_the_published_one_and_its_vocabulary_the_dictionarys(published):
    folder = published / "results/ulm/published"
    found = load_file(folder / "model.safetensors")
    assert found.keys() == published.lm.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in published.lm.state_dict().items())
    words = pandas.read_parquet(folder / "vocabulary.parquet")
    assert words.symbol.tolist()[:6] == ["<s>", "<pad>", "</s>", "<unk>", str(ORDER[0]), str(ORDER[1])]
    assert words.unit.dropna().tolist() == ORDER.tolist() and words["count"].tolist()[4:6] == [900, 899]
    report = pandas.read_parquet(folder / "load_report.parquet").set_index("source")
    assert report.name["decoder.layers.1.fc1.weight"] == "layers.1.fc1.weight" and report.name["decoder.version"] == ""
    rows = pandas.read_parquet(published / "results/SCR_published/binarized.parquet")
    units = pandas.read_parquet(published / "results/units/cpc_14/commands/reduced_units.parquet").set_index("utterance_id").units
    row = rows.iloc[0]
    assert [ORDER[token - 4] for token in row.tokens[: row.num_source]] == list(units[row.utterance_id])


def test_a_second_run_has_nothing_to_do(published):
    output, _ = published.snakemake("--cores", 1, "results/SCR_published/acc.json")
    assert "Nothing to be done" in output


def test_the_presets_sizes_count_and_the_error_names_the_tensors(published):
    (published / "sizes.yaml").write_text("convert_ulm:\n  tiny:\n    sizes: {num_layers: 3}\n")
    configs = ("tests/config/tiny.yaml", "sizes.yaml")
    output, status = published.snakemake(
        "--cores", 1, "results/ulm/published/model.safetensors", "--forcerun", "convert_ulm", configs=configs, check=False
    )
    assert status != 0 and "lm.tgz: tensors must be those of the sizes; expected" in output
    assert "layers.2.fc1.bias missing" in output and "correct preset or codebook in config/ulms.tsv" in output


def test_a_file_that_is_not_there_is_asked_for(published):
    (published / "resources/tiny_km/km.bin").unlink()
    output, status = published.snakemake(
        "--cores", 1, "results/units/cpc_14/centroids.parquet", "--forcerun", "convert_codebook", check=False
    )
    where = (published / "resources/tiny_km/km.bin").resolve()
    assert status != 0 and f"without network access, copy km.bin to {where} yourself" in output


@pytest.fixture
def served(new_project, tmp_path):
    """A project whose codebook lies on a server with a known hash, and the folder that is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    codebook(tmp_path / "km.bin")
    made = new_project("served")
    address, known = f"http://127.0.0.1:{server.server_port}", hashlib.sha256((tmp_path / "km.bin").read_bytes()).hexdigest()
    made.edit("tests/config/checkpoints.tsv", "tiny_km\t\tkm.bin\t", f"tiny_km\t{address}\tkm.bin\t{known}")
    yield made, tmp_path
    server.shutdown()
    server.server_close()


def test_a_rule_downloads_the_file_and_keeps_it_where_only_code_has_changed(served):
    made, folder = served
    target = "results/units/cpc_14/centroids.parquet"
    made.snakemake("--cores", 1, target)
    (folder / "km.bin").unlink()
    made.edit("storage/untrusted/download_checkpoint.py", "CHUNK_BYTES = 2**16", "CHUNK_BYTES = 2**17")
    assert made.planned(target)["download_checkpoint"] == 1
    before = (made / "resources/tiny_km/km.bin").stat().st_ino
    made.snakemake("--cores", 1, target)
    assert (made / "resources/tiny_km/km.bin").stat().st_ino == before and made.planned(target) == {}
    (made / "resources/tiny_km/km.bin").write_bytes(b"another file put here by hand")
    output, status = made.snakemake("--cores", 1, target, "--forcerun", "convert_codebook", check=False)
    assert status != 0 and "km.bin: a checkpoint must be the published one; expected SHA-256 " in output
