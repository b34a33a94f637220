"""m4a, AAC, WebM, AMR and the sound of videos: read with PyAV, whole or refused; without PyAV the error says what to type."""

import shlex
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from speech2unit.corpora.audio import BadAudio, decode, read_audio, read_utterance
from tests.speech2unit.corpora.containers.recordings import (
    FORMATS_OF_LIBAV,
    RATE,
    encoded,
    ffmpeg,
    ffmpeg_seconds,
    needs_ffmpeg,
    speech,
)

VIDEOS = {
    "mp4": "-c:v mpeg4 -c:a aac",
    "mov": "-c:v mpeg4 -c:a aac",
    "mkv": "-c:v mpeg4 -c:a libopus",
    "avi": "-c:v mpeg4 -c:a mp3",
}
MAX_MORE_SECONDS = 0.15  # the delay of an encoder, and its last frame


@pytest.fixture
def needs_av():
    pytest.importorskip("av", reason="needs PyAV: pip install -r requirements-formats.txt")


def refusal(path):
    with pytest.raises(BadAudio) as caught:
        decode(path)
    return caught.value


def video(path, *options):
    """Write a video of a second with sound."""
    soundfile.write(path.parent / "in.wav", speech(1.0), RATE)
    pictures = ["-f", "lavfi", "-i", "testsrc=d=1:s=64x64"]
    ffmpeg(*pictures, "-i", path.parent / "in.wav", *options, *VIDEOS[path.suffix[1:]].split(), path)
    return path


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.parametrize("codec", FORMATS_OF_LIBAV)
def test_without_pyav_the_error_says_what_to_type(tmp_path, monkeypatch, codec):
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "it's.m4a"
    path.write_bytes(encoded(codec, 1.0))
    error = refusal(path)
    assert error.reason == "no_decoder" and "needs PyAV, which is not installed" in error.detail
    first, _, line = error.remedy.partition(", or convert the file: ")
    assert first == "pip install -r requirements-formats.txt"
    subprocess.run(shlex.split(line.removesuffix(" (and use that file instead)")), check=True, capture_output=True)
    assert len(read_audio(tmp_path / "it's.wav", sample_rate=RATE)[0]) == pytest.approx(RATE, abs=MAX_MORE_SECONDS * RATE)


@needs_ffmpeg
@pytest.mark.parametrize("codec", FORMATS_OF_LIBAV)
@pytest.mark.usefixtures("needs_av")
def test_all_sound_is_read(tmp_path, codec):
    path = tmp_path / "a"
    for seconds in (0.3, 1.0, 2.7):
        path.write_bytes(encoded(codec, seconds))
        samples, info = decode(path)
        found = len(samples) / info.sample_rate
        assert seconds - 0.001 <= found <= seconds + MAX_MORE_SECONDS and found == pytest.approx(ffmpeg_seconds(path), abs=0.01)
    expected = np.frombuffer(ffmpeg("-i", path, "-f", "f32le", "-ac", "1", "-"), np.float32)
    length = min(len(samples), len(expected))
    if codec != "webm":  # ffmpeg 5 writes a delay of the encoder that its own decoder does not believe
        assert np.abs(samples[:length] - expected[:length])[: length - 1000].max() < 2e-3
    part, part_info = decode(path, 0.5, 1.0)
    rate = info.sample_rate
    assert np.array_equal(part, samples[rate // 2 : rate]) and part_info.audio_hash != info.audio_hash
    row = dict(start_seconds=0.5, end_seconds=1.0, speed=1.0, audio_hash=part_info.audio_hash)
    assert len(read_utterance(path, row, sample_rate=RATE)) == RATE // 2


@needs_ffmpeg
@pytest.mark.parametrize("codec", FORMATS_OF_LIBAV)
@pytest.mark.usefixtures("needs_av")
def test_every_cut_and_whatever_follows_is_noticed(tmp_path, record_property, codec):
    data = encoded(codec, 2.7)
    path = tmp_path / "a"
    path.write_bytes(data)
    samples, _ = decode(path)
    parts = np.linspace(0.02, 0.995, 30)
    for part in parts:
        path.write_bytes(data[: int(len(data) * part)])
        assert refusal(path).reason in {"truncated", "damaged", "not_audio"}
    path.write_bytes(data + data)
    if codec == "aac":
        assert len(decode(path)[0]) == 2 * len(samples)
    else:
        assert refusal(path).reason == "more_audio"
    path.write_bytes(data + bytes(100))
    assert np.array_equal(decode(path)[0], samples)
    path.write_bytes(data + np.random.default_rng(0).bytes(5000))
    assert refusal(path).reason in {"damaged", "truncated"}
    record_property("injected", len(parts) + 3)
    record_property("detected", len(parts) + 3)


@needs_ffmpeg
@pytest.mark.usefixtures("needs_av")
def test_joined_m4a_files_are_taken_apart_by_the_commands_of_the_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = encoded("m4a", 1.0), encoded("m4a", 2.7, 1)
    (tmp_path / "a b.m4a").write_bytes(first + second)
    commands = refusal("a b.m4a").remedy.removeprefix("take it apart: ")
    subprocess.run(commands, shell=True, check=True)
    assert [(tmp_path / name).read_bytes() for name in ("first.m4a", "second.m4a")] == [first, second]


@needs_ffmpeg
@pytest.mark.parametrize("extension", VIDEOS)
@pytest.mark.usefixtures("needs_av")
def test_the_sound_of_a_video_is_read(tmp_path, extension):
    path = video(tmp_path / f"a.{extension}")
    samples, info = decode(path)
    assert 1.0 <= len(samples) / info.sample_rate <= 1.0 + MAX_MORE_SECONDS
    data = path.read_bytes()
    for part in np.linspace(0.05, 0.97, 10):
        path.write_bytes(data[: int(len(data) * part)])
        assert refusal(path).reason in {"truncated", "damaged"}


@needs_ffmpeg
@pytest.mark.usefixtures("needs_av")
def test_a_video_without_sound_or_with_two_sounds_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = video(tmp_path / "a.mp4")
    ffmpeg("-i", path, "-an", "-c", "copy", "silent.mp4")
    assert str(refusal("silent.mp4")).count("not_audio: MP4 without sound") == 1
    ffmpeg("-i", path, "-i", path, "-map", "0:a", "-map", "1:a", "-c", "copy", "two.mkv")
    error = refusal("two.mkv")
    assert error.reason == "more_audio"
    line = error.remedy.removeprefix("take one: ").removesuffix(" (and use that file instead)")
    assert line == "ffmpeg -i two.mkv -map 0:a:0 -c:a pcm_s16le two.wav"
    ffmpeg(*shlex.split(line)[1:])
    assert len(decode("two.wav")[0]) >= RATE


@needs_ffmpeg
@pytest.mark.usefixtures("needs_av")
def test_another_container_or_title_does_not_change_the_hash(tmp_path):
    (tmp_path / "a.aac").write_bytes(encoded("aac", 1.0))
    ffmpeg("-i", tmp_path / "a.aac", "-c", "copy", tmp_path / "a.mka")
    ffmpeg("-i", tmp_path / "a.mka", "-c", "copy", "-metadata", "title=x", tmp_path / "b.mka")
    assert decode(tmp_path / "a.mka")[1].audio_hash == decode(tmp_path / "b.mka")[1].audio_hash


@needs_ffmpeg
@pytest.mark.parametrize("container", ["mpegts", "flv", "asf"])
def test_formats_of_which_nobody_can_tell_whether_they_are_whole_are_to_be_converted(tmp_path, container):
    soundfile.write(tmp_path / "in.wav", speech(1.0), RATE)
    ffmpeg("-i", tmp_path / "in.wav", "-ar", "44100", "-f", container, tmp_path / "a.bin")
    error = refusal(tmp_path / "a.bin")
    assert error.reason == "no_decoder" and error.remedy.startswith(
        f"convert the file: ffmpeg -i {tmp_path}/a.bin -c:a pcm_s16le"
    )


@pytest.mark.usefixtures("needs_av")
def test_amr_of_phones_is_read(tmp_path):
    rng = np.random.default_rng(0)
    frames = [b"\x3c" + rng.bytes(31) for _ in range(50)]  # of 12.2 kbit/s, 20 ms each
    path = tmp_path / "a.amr"
    path.write_bytes(b"#!AMR\n" + b"".join(frames))
    samples, info = decode(path)
    assert (info.sample_rate, len(samples)) == (8000, 8000)
    path.write_bytes(path.read_bytes()[:-5])
    assert refusal(path).reason == "truncated"
