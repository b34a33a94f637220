"""Folders of transformers: whole, in shards, with heads for a task; adapters and missing shards are refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from speech2unit import encoders
from speech2unit.encoders.checkpoint_files import CheckpointFiles
from speech2unit.encoders.convert_encoder import convert_encoder
from storage import tables
from storage.files import read_json
from storage.schemas import LOAD_REPORT

SIZES = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=48,
    conv_dim=[16] * 7,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4,
)
WAVEFORM = np.random.default_rng(0).standard_normal(8000).astype(np.float32) / 10


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is no part of the environment")


def save(folder, model, **settings):
    """Save a model as its users do; return the names of its files."""
    torch.manual_seed(0)
    model.eval().save_pretrained(folder, **settings)
    return sorted(path.name for path in folder.iterdir())


def convert(folder, names):
    """Convert files of a folder; return the folder of the encoder."""
    convert_encoder(
        checkpoint=[folder / name for name in names],
        model=folder / "out/model.safetensors",
        config=folder / "out/config.json",
        load_report=folder / "out/report.parquet",
        architecture="wav2vec2",
        sha256=[],
        sizes={},
    )
    return folder / "out"


def assert_same_states(folder, model, waveform=WAVEFORM, model_input=WAVEFORM):
    """Check that an encoder computes the hidden states of `waveform` that a model of transformers computes of `model_input`."""
    with torch.no_grad():
        expected = model(torch.from_numpy(model_input)[None], output_hidden_states=True).hidden_states
    encoder = encoders.load(folder)
    for layer, state in enumerate(expected):
        np.testing.assert_allclose(encoder.features([waveform], layer)[0], state[0].numpy(), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("with_index", [True, False])
def test_shards_are_read_together(tmp_path, transformers, with_index):
    model = transformers.HubertModel(transformers.HubertConfig(**SIZES))
    names = save(tmp_path, model, max_shard_size="30KB")
    assert len(names) == 6  # four shards, their index, config.json
    assert_same_states(convert(tmp_path, names if with_index else [n for n in names if "index" not in n]), model)


@pytest.mark.parametrize("with_index", [True, False])
def test_a_missing_shard_is_named(tmp_path, transformers, with_index):
    names = save(tmp_path, transformers.HubertModel(transformers.HubertConfig(**SIZES)), max_shard_size="30KB")
    names = [name for name in names if "00002-of" not in name and (with_index or "index" not in name)]
    all_shards = ",".join(f"model-0000{number}-of-00004.safetensors" for number in range(1, 5))
    others = "config.json,model.safetensors.index.json" if with_index else "config.json"
    with pytest.raises(ValueError, match="an encoder has one file of weights, or all shards of one") as caught:
        convert(tmp_path, names)
    assert str(caught.value).endswith(f"write {all_shards},{others} into the cell 'files' of its row in config/checkpoints.tsv")


def test_an_index_alone_names_its_shards(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps(dict(weight_map=dict(a="x.safetensors", b="y.safetensors")))
    )
    with pytest.raises(
        ValueError, match=r"expected x\.safetensors, y\.safetensors, got none of them; write x\.safetensors,y\.saf"
    ):
        CheckpointFiles([tmp_path / "model.safetensors.index.json"])


@pytest.mark.parametrize("content", [[], {}, dict(weight_map=[]), dict(weight_map=dict(a=1))])
def test_a_damaged_index_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="an index of shards names the file of each tensor; expected 'weight_map'"):
        CheckpointFiles([tmp_path / "model.safetensors", tmp_path / "model.safetensors.index.json"])


def test_two_files_of_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a\.pt, got a\.pt, b\.pt; write a\.pt,c\.npy into the cell 'files'"):
        CheckpointFiles([tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.npy"])


HEADS = dict(
    ForSequenceClassification=("Hubert", dict(use_weighted_layer_sum=True, num_labels=3), "classifier.bias, classifier.weight"),
    ForCTC=("Wav2Vec2", dict(vocab_size=10), "lm_head.bias, lm_head.weight"),
    ForAudioFrameClassification=("WavLM", dict(num_labels=3), "classifier.bias, classifier.weight"),
    ForXVector=("Wav2Vec2", dict(tdnn_dim=(8, 8, 8, 8, 16), xvector_output_dim=8), "classifier.bias, classifier.weight"),
    Model=("Wav2Vec2", dict(add_adapter=True), "adapter.layers.0.conv.bias, adapter.layers.0.conv.weight"),
)


@pytest.mark.parametrize("head", HEADS)
def test_the_encoder_of_a_model_for_a_task_is_taken_and_the_rest_named(tmp_path, transformers, capsys, head):
    family, settings, left_out = HEADS[head]
    model = getattr(transformers, f"{family}{head}")(getattr(transformers, f"{family}Config")(**SIZES, **settings))
    names = save(tmp_path, model)
    folder = convert(tmp_path, [name for name in names if name != "generation_config.json"])
    assert_same_states(folder, model.base_model)
    assert f"model.safetensors: left out, because hidden states do not depend on them: {left_out}" in capsys.readouterr().out
    report = {row["source"]: row["name"] for row in tables.read(folder / "report.parquet", LOAD_REPORT).to_pylist()}
    assert all(report[name] == "" for name in left_out.split(", "))


FURTHER_MODELS = dict(  # class → settings of its config, beginnings of tensors that are left out
    UniSpeechForCTC=(dict(vocab_size=10, do_stable_layer_norm=False), ("lm_head", "unispeech.masked")),
    UniSpeechSatForPreTraining=(dict(codevector_dim=8, num_clusters=5), ("quantizer", "speaker_proj", "label_embeddings_concat")),
    Data2VecAudioForCTC=(dict(vocab_size=10, num_conv_pos_embeddings=2), ("lm_head", "data2vec_audio.masked")),
)


@pytest.mark.parametrize("name", FURTHER_MODELS)
@pytest.mark.parametrize("do_normalize", [True, False])
def test_the_input_is_normalized_as_the_preprocessor_says(tmp_path, transformers, name, do_normalize):
    settings, left_out = FURTHER_MODELS[name]
    config = getattr(transformers, f"{name.partition('For')[0]}Config")(**SIZES | settings)
    model = getattr(transformers, name)(config)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize)
    extractor.save_pretrained(tmp_path)
    names = save(tmp_path, model)
    folder = convert(tmp_path, [name for name in names if name != "generation_config.json"])
    waveform = 3 * WAVEFORM + 1
    assert read_json(folder / "config.json")["normalize_waveform"] == do_normalize
    (normalized,) = extractor(waveform, sampling_rate=16_000).input_values
    assert_same_states(folder, model.base_model, waveform, normalized)
    report = tables.read(folder / "report.parquet", LOAD_REPORT).to_pylist()
    sources = [row["source"] for row in report if not row["name"]]
    assert all(any(source.startswith(beginning) for source in sources) for beginning in left_out)


LORA = {"base_model.model.encoder.layers.0.attention.q_proj.lora_A.weight": torch.zeros(2, 8)}


def test_a_folder_of_an_adapter_is_refused_with_the_command_that_merges_it(tmp_path):
    save_file(LORA, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(dict(base_model_name_or_path="facebook/hubert-base-ls960")))
    with pytest.raises(
        ValueError, match=r"adapter_model\.safetensors: an encoder is a whole model; .* got a peft adapter"
    ) as caught:
        CheckpointFiles([tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"])
    command = (
        f"PeftModel.from_pretrained(AutoModel.from_pretrained('facebook/hubert-base-ls960'), '{tmp_path}').merge_and_unload()"
    )
    assert command in str(caught.value)


def test_weights_of_an_adapter_under_another_name_are_refused(tmp_path):
    save_file(LORA, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"model\.safetensors: an encoder is a whole model; .* only changes of the model that it"
    ):
        CheckpointFiles([tmp_path / "model.safetensors"]).read_weights()


def test_files_may_come_in_any_order(tmp_path):
    paths = [tmp_path / name for name in ("preprocessor_config.json", "mean_std.npy", "config.json", "model.ckpt")]
    files = CheckpointFiles(paths)
    assert (files.weights, files.config, files.moments) == ([paths[3]], paths[2], paths[1])
    assert files.preprocessor == paths[0]
    assert CheckpointFiles([]).weights == []
