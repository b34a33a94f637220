"""Costs of encoders: multiply-adds as counted by hand, parameters, interleaved timing, and the table."""

import numpy as np
import pytest
import torch

from speech2unit import encoders, measure_encoders
from speech2unit.encoders.architectures.cpc import CPC, CPCConfig, CPCModel
from speech2unit.encoders.architectures.distilalhubert import build_model
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel
from speech2unit.measure_encoders import count_parameters, interleaved_medians, multiply_adds, noise, peak_memory_mb
from speech2unit.schemas import MEASUREMENTS
from storage import tables
from storage.weights import load_tensors, save_config, save_tensors
from tests.random_models import WHISPER

FRAMES = 49  # of one second at 20 ms
BINS = 257  # of a spectrum
SIZES = dict(num_layers=2, dim=16, ffn_dim=24, num_heads=2, conv_kernel=5, conv_groups=4, num_targets=[7])
WAVES = dict(
    conv_layers=[[8, 10, 5], [12, 64, 64]], conv_bias=False, conv_norm="group", normalize_waveform=False, pre_norm=False, num_layers=2,
    dim=16, ffn_dim=24, num_heads=2, pos_conv_kernel=8, pos_conv_groups=4, num_buckets=0, max_distance=0,
)  # fmt: skip
FRONT_END = dict(mean=torch.zeros(40), std=torch.ones(40))
BLOCK = 4 * 16 * 16 + 2 * 16 * 24  # multiply-adds per frame


def stored(folder, architecture, tensors, settings):
    folder.mkdir()
    save_tensors(folder / "model.safetensors", tensors)
    save_config(folder / "config.json", dict(architecture=architecture, subtract_loudness=False) | settings)
    return folder


@pytest.fixture
def folders(tmp_path):
    torch.manual_seed(0)
    model, settings = MelHuBERTModel(MelHuBERTConfig(**SIZES)), dict(SIZES, num_layers=1, body="melhubert", num_repeats=2)
    waves = Wav2Vec2Model(Wav2Vec2Config(**WAVES))
    [torch.nn.init.normal_(p) for p in waves.pos_conv.parameters()]
    return dict(
        parent=stored(tmp_path / "parent", "melhubert", model.state_dict() | FRONT_END, SIZES),
        child=stored(tmp_path / "child", "distilalhubert", build_model(settings).state_dict() | FRONT_END, settings),
        waves=stored(tmp_path / "waves", "wav2vec2", waves.state_dict(), WAVES),
        log_mel=stored(tmp_path / "log_mel", "log_mel", FRONT_END, {}),
    )


def counted(folder):
    return multiply_adds(encoders.load(folder), noise(1, 16_000))


def of_blocks(num_frames):
    """Two blocks: their matrices, and each frame's products with all keys and all values."""
    return 2 * num_frames * (BLOCK + 2 * num_frames * 16)


def test_multiply_adds_are_those_counted_by_hand(folders):
    front_end = 98 * BINS * 40
    assert counted(folders["log_mel"]) == front_end
    expected = front_end + FRAMES * (80 * 16 + 16 * 4 * 5) + of_blocks(FRAMES)
    assert counted(folders["parent"]) == counted(folders["child"]) == expected


@pytest.mark.slow
def test_packed_matrices_and_products_of_spectra_count_too(folders):
    windows, frames = 3199, 49
    statistics = windows * 10 * 10 + 8 * 10 * 10  # of the group norm that is folded into the first convolution
    convolutions = windows * 8 * 10 + frames * 12 * 8 * 64 + frames * 12 * 16
    spectra = 9 * 4 * 6 * 4 * 4 * 4  # frequencies, groups, blocks of 9 new frames, channels in and out, complex numbers
    assert counted(folders["waves"]) == statistics + convolutions + spectra + of_blocks(frames)


def test_parts_of_whisper_are_counted(tmp_path):
    model = WhisperModel(WhisperConfig(**WHISPER))
    folder = stored(tmp_path / "whisper", "whisper", model.state_dict(), WHISPER)
    front_end = 100 * 201 * 80 + 100 * 80 * 3 * 16 + 50 * 16 * 3 * 16
    assert counted(folder) == front_end + of_blocks(50)
    num_parameters, _ = count_parameters(load_tensors(folder / "model.safetensors"))
    assert num_parameters == sum(parameter.numel() for parameter in model.parameters())


def test_lstms_count_too():
    sizes = CPCConfig(conv_dim=8, dim=6, num_layers=2)
    encoder, waveform = CPC(CPCModel(sizes), "cpu"), noise(1, 16_000)
    more = CPC(CPCModel(CPCConfig(conv_dim=8, dim=6, num_layers=3)), "cpu")
    assert multiply_adds(more, waveform) - multiply_adds(encoder, waveform) == 100 * 4 * 6 * (6 + 6)


def test_parameters_are_counted_without_the_statistics_of_the_front_end():
    tensors = dict(a=torch.tensor([[1.0, 0.0], [2.0, 0.0]]), b=torch.ones(3), **FRONT_END)
    assert count_parameters(tensors) == (7, 5)


def test_calls_are_interleaved_and_the_first_round_does_not_count(monkeypatch):
    clock = [0.0]
    called = []
    monkeypatch.setattr(measure_encoders.time, "perf_counter", lambda: clock[0])

    def call(name, durations):
        def run():
            called.append(name)
            clock[0] += durations.pop(0)

        return run

    assert interleaved_medians([call("a", [9, 1, 5, 2]), call("b", [9, 3, 3, 4])], 3) == [2, 3]
    assert called == ["a", "b"] * 4


@pytest.mark.slow
def test_memory_grows_with_the_size_of_the_encoder(folders, tmp_path):
    sizes = SIZES | dict(num_targets=[1_000_000])  # 64 MB of a head
    big = stored(tmp_path / "big", "melhubert", MelHuBERTModel(MelHuBERTConfig(**sizes)).state_dict() | FRONT_END, sizes)
    assert peak_memory_mb(big, 0.1) - peak_memory_mb(folders["parent"], 0.1) > 50


@pytest.mark.slow
def test_the_table_has_one_row_per_encoder_with_its_speedup_over_the_parent(folders, tmp_path):
    names = list(folders)
    measure_encoders.measure_encoders(
        models=[folders[name] / "model.safetensors" for name in names], configs=[folders[name] / "config.json" for name in names],
        measurements=tmp_path / "m.parquet", names=names, parents=["", "parent", "", ""], seconds=0.5, num_rounds=2,
    )  # fmt: skip
    rows = {row["encoder"]: row for row in tables.read(tmp_path / "m.parquet", MEASUREMENTS).to_pylist()}
    times = {name: row["real_time_factor"] for name, row in rows.items()}
    assert rows["child"]["parent"] == "parent" and rows["child"]["speedup"] == pytest.approx(times["parent"] / times["child"])
    assert all(rows[name]["speedup"] == 1 and rows[name]["parent"] is None for name in ("parent", "waves", "log_mel"))
    assert rows["parent"]["parameters"] == sum(p.numel() for p in encoders.load(folders["parent"]).model.parameters())
    assert rows["child"]["parameters"] < rows["parent"]["parameters"] and rows["log_mel"]["parameters"] == 0
    assert all(np.isfinite(row["memory_mb"]) and row["file_size_mb"] > 0 and 0 < row["density"] <= 1 for row in rows.values())
