"""Reading audio: which files are converted, and which are refused with which code."""

import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from speech2unit.corpora import audio as module
from speech2unit.corpora import audio_source
from speech2unit.corpora.audio import (
    RULES,
    BadAudio,
    SegmentDecoder,
    as_waveform,
    check_name,
    convert,
    decode,
    read_audio,
    read_utterance,
    segments_together,
)
from speech2unit.corpora.levels import CANCELLING

RATE = 16_000
FORMATS = ("wav", "flac", "ogg", "mp3")


def tone(seconds=1.0, rate=RATE, hz=440.0, channels=1):
    wave = 0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave] * channels, axis=1).astype(np.float32)


def written(path, samples, rate=RATE, **options):
    """Write a file in the format of its extension, and return its path."""
    soundfile.write(path, samples, rate, **({"format": path.suffix[1:].upper()} | options))
    return path


def reason(path):
    with pytest.raises(BadAudio) as caught:
        read_audio(path, sample_rate=RATE)
    return caught.value.reason


def strongest_hz(waveform):
    return np.abs(np.fft.rfft(waveform)).argmax() * RATE / len(waveform)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rate, channels", [(8_000, 1), (11_025, 1), (16_000, 2), (44_100, 1), (48_000, 2)])
def test_any_rate_and_channels_become_mono_at_the_requested_rate(tmp_path, name, rate, channels):
    path = written(tmp_path / f"a.{name}", tone(rate=rate, channels=channels), rate)
    waveform, info = read_audio(path, sample_rate=RATE)
    assert (waveform.dtype, waveform.ndim, len(waveform)) == (np.float32, 1, RATE)
    assert (info.sample_rate, info.channels, info.clipped) == (rate, channels, False)
    assert strongest_hz(waveform) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM"])
def test_any_sample_format_is_converted(tmp_path, subtype):
    waveform, _ = read_audio(written(tmp_path / "a.wav", tone(), subtype=subtype), sample_rate=RATE)
    assert np.median(np.abs(waveform[:RATE] - tone()[:, 0])) < 0.02


def test_six_channels_and_a_wrong_extension_are_converted(tmp_path):
    for name in ("a.mp3", "a.raw", "a.vox", "a"):
        path = written(tmp_path / name, tone(channels=6), format="WAV")
        assert read_audio(path, sample_rate=RATE)[1].channels == 6


def test_clipped_audio_is_converted_and_marked(tmp_path):
    _, info = read_audio(written(tmp_path / "a.wav", np.clip(4 * tone(), -1, 1)), sample_rate=RATE)
    assert info.clipped
    one_channel = np.concatenate([tone(), tone()], axis=1)
    one_channel[:24, 0] = 1.0  # 0.15 % of one channel, half of that of both
    assert read_audio(written(tmp_path / "b.wav", one_channel), sample_rate=RATE)[1].clipped
    assert not read_audio(written(tmp_path / "c.wav", one_channel[24:]), sample_rate=RATE)[1].clipped


@pytest.mark.parametrize("subtype", ["PCM_U8", "ULAW", "ALAW", "PCM_24"])
def test_clipping_is_seen_in_every_sample_format(tmp_path, subtype):
    assert decode(written(tmp_path / "a.wav", np.clip(4 * tone(), 0, 1), subtype=subtype))[1].clipped
    assert not decode(written(tmp_path / "b.wav", tone(), subtype=subtype))[1].clipped


def test_clipping_belongs_to_the_segment(tmp_path):
    path = written(tmp_path / "a.wav", np.concatenate([np.clip(4 * tone(), -1, 1), tone()]))
    assert decode(path, 0.0, 1.0)[1].clipped and not decode(path, 1.0, 2.0)[1].clipped


def test_equal_audio_has_equal_hashes_in_all_formats(tmp_path):
    samples = (tone() * 20_000).astype(np.int16)
    paths = [written(tmp_path / name, samples) for name in ("a.wav", "a.flac", "a.aiff")]
    paths.append(written(tmp_path / "stereo.wav", np.repeat(samples, 2, axis=1)))
    hashes = {decode(path)[1].audio_hash for path in paths}
    assert hashes == {hashlib.blake2b((samples[:, 0] / 32768).astype(np.float32), digest_size=16).hexdigest()}
    assert decode(written(tmp_path / "b.wav", samples[1:]))[1].audio_hash != decode(paths[0])[1].audio_hash


@pytest.mark.parametrize("name", FORMATS)
def test_the_hash_does_not_depend_on_the_last_bits_of_a_decoder(tmp_path, monkeypatch, name):
    path = written(tmp_path / f"a.{name}", tone(2.0))
    row = dict(start_seconds=0.5, end_seconds=1.5, speed=1.0, audio_hash=decode(path, 0.5, 1.5)[1].audio_hash)
    other = decode(path, 0.5, 1.6)[1].audio_hash
    whole = decode(path)[1].audio_hash
    assert len({row["audio_hash"], other, whole}) == 3 and decode(path, 0.0, 99.0)[1].audio_hash == whole
    read = soundfile.SoundFile.read
    if name in ("ogg", "mp3"):
        monkeypatch.setattr(soundfile.SoundFile, "read", lambda *args, **how: read(*args, **how) * np.float32(1 + 1e-6))
    assert len(read_utterance(path, row, sample_rate=RATE)) == RATE
    monkeypatch.undo()
    written(path, tone(2.0, hz=441.0))
    with pytest.raises(ValueError, match="a recording must be the one that its manifest lists"):
        read_utterance(path, row, sample_rate=RATE)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_shortens_and_raises_the_pitch(tmp_path, speed):
    path = written(tmp_path / "a.wav", tone(2.0))
    waveform, _ = read_audio(path, sample_rate=RATE, speed=speed)
    assert len(waveform) == pytest.approx(2 * RATE / speed, abs=1)
    assert strongest_hz(waveform) == pytest.approx(440 * speed, abs=1)
    assert np.array_equal(waveform, read_audio(path, sample_rate=RATE, speed=np.float32(speed))[0])


def test_blocks_are_one_waveform(tmp_path, monkeypatch):
    paths = [written(tmp_path / f"a.{name}", tone(3.0)) for name in FORMATS]
    whole = [decode(path)[0] for path in paths]
    monkeypatch.setattr("speech2unit.corpora.audio_source.BLOCK_FRAMES", 7_777)
    assert all(np.array_equal(decode(path)[0], samples) for path, samples in zip(paths, whole, strict=True))


@pytest.mark.parametrize("name", FORMATS)
def test_every_cut_is_noticed(tmp_path, name):
    data = written(tmp_path / f"a.{name}", tone(3.0)).read_bytes()
    for number, part in enumerate(np.linspace(0.02, 0.99, 25)):
        path = tmp_path / f"{number}.{name}"
        path.write_bytes(data[: int(len(data) * part)])
        assert reason(path) in {"truncated", "damaged", "not_audio"}


@pytest.mark.parametrize("name", ["flac", "ogg"])
def test_every_flipped_bit_is_noticed_where_the_format_has_checksums(tmp_path, name):
    data = written(tmp_path / f"a.{name}", tone(3.0)).read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(400, len(data), 40):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "b").write_bytes(damaged)
        assert reason(tmp_path / "b") in {"damaged", "truncated"}


def test_a_lost_ogg_page_is_noticed(tmp_path):
    data = written(tmp_path / "a.ogg", tone(9.0) + 0.1 * np.random.default_rng(0).standard_normal((9 * RATE, 1))).read_bytes()
    pages = data.split(b"OggS")
    assert len(pages) > 5
    (tmp_path / "b.ogg").write_bytes(b"OggS".join(pages[:4] + pages[5:]))
    assert reason(tmp_path / "b.ogg") == "damaged"


def test_a_wav_that_was_streamed_has_no_length_and_is_read(tmp_path):
    path = written(tmp_path / "a.wav", tone())
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert len(read_audio(path, sample_rate=RATE)[0]) == RATE


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_that_are_not_finite_are_refused(tmp_path, value):
    samples = tone().astype(np.float64)
    samples[77] = value
    with np.errstate(over="ignore"):
        assert reason(written(tmp_path / "a.wav", samples, subtype="DOUBLE")) == "not_finite"


def test_an_array_of_channels_by_samples_is_told_to_be_transposed():
    samples = tone(channels=2).T
    with pytest.raises(ValueError, match=r"more channels than samples; pass samples.T"):
        as_waveform((samples, RATE), RATE)
    assert as_waveform((samples.T, RATE), RATE).ndim == 1


@pytest.mark.parametrize("factor", [1, 50, 32768, 1 << 31])
def test_floats_that_are_too_loud_to_be_full_scale_are_refused_with_the_divisor(tmp_path, factor):
    samples = np.round(tone() * 32768) if factor == 1 else tone() * factor * 2.5
    path = written(tmp_path / "a.wav", samples, subtype="DOUBLE")
    with pytest.raises(BadAudio) as caught:
        read_audio(path, sample_rate=RATE)
    assert caught.value.reason == "too_loud"
    divisor = {1: 1 << 15, 50: 1 << 7, 32768: 1 << 15, 1 << 31: 1 << 31}[factor]
    assert f"divide the samples by {divisor}, or: ffmpeg -i {path} -af volume=1/{divisor} -c:a pcm_s16le" in str(caught.value)
    with pytest.raises(BadAudio, match=f"divide the samples by {divisor}, before you pass them on"):
        as_waveform((samples, RATE), RATE)


def test_one_channel_that_is_too_loud_is_enough_and_small_excess_is_none(tmp_path):
    loud = np.concatenate([tone() * 20_000, tone() * -20_000], axis=1)
    assert reason(written(tmp_path / "a.wav", loud, subtype="FLOAT")) == "too_loud"
    assert reason(written(tmp_path / "b.wav", np.round(tone() * 6), subtype="FLOAT")) == "too_loud"
    assert decode(written(tmp_path / "c.wav", tone() * 8, subtype="FLOAT"))[1].clipped


def test_of_channels_that_cancel_each_other_one_is_taken(tmp_path):
    noise = 1e-3 * np.random.default_rng(0).standard_normal((RATE, 2)).astype(np.float32)
    for number, samples in enumerate(
        (tone(channels=2) * [1, -1], tone(channels=2) * [1, -1] + noise + 0.1, tone(channels=2) * [0.9, -1])
    ):
        path = written(tmp_path / f"{number}.wav", samples, subtype="FLOAT")
        waveform, info = decode(path)
        assert info.remarks == (CANCELLING,) and np.array_equal(waveform, samples[:, 0].astype(np.float32))
        assert np.array_equal(as_waveform((samples, RATE), RATE), convert(waveform, RATE, sample_rate=RATE, speed=1.0, path=path))
        assert np.array_equal(decode(path, 0.25, 0.5)[0], waveform[RATE // 4 : RATE // 2])
    assert np.array_equal(decode(written(tmp_path / "quiet.wav", tone(channels=2) * [0.01, -1], subtype="FLOAT"))[1].remarks, ())


@pytest.mark.parametrize("channels", [2, 6, 16])
def test_channels_that_have_little_in_common_are_averaged(tmp_path, channels):
    rng = np.random.default_rng(0)
    unrelated = 0.1 * rng.standard_normal((RATE, channels))
    single = np.zeros((RATE, channels))
    single[:, 1] = tone()[:, 0]
    for samples in (unrelated, single, tone(channels=channels)):
        path = written(tmp_path / "a.wav", samples)
        waveform, info = decode(path)
        assert not info.remarks and np.array_equal(waveform, soundfile.read(path, dtype="float32")[0].mean(axis=1))


def test_audio_below_80_decibels_is_silent(tmp_path):
    steps = np.random.default_rng(0).integers(-3, 4, RATE).astype(np.int16)
    assert reason(written(tmp_path / "a.wav", steps)) == "silent"
    assert reason(written(tmp_path / "b.wav", steps / 32768 + 0.25, subtype="FLOAT")) == "silent"
    assert reason(written(tmp_path / "c.wav", np.stack([steps, -steps], axis=1))) == "silent"
    assert len(decode(written(tmp_path / "d.wav", 2 * steps))[0]) == RATE


@pytest.mark.parametrize("samples", [0 * tone(), 0 * tone() + 0.25])
def test_silence_and_constants_are_refused(tmp_path, samples):
    assert reason(written(tmp_path / "a.wav", samples, subtype="FLOAT")) == "silent"


@pytest.mark.parametrize("length, code", [(0, "no_samples"), (1, "silent"), (100, "too_short"), (399, "too_short")])
def test_too_little_audio_is_refused(tmp_path, length, code):
    assert reason(written(tmp_path / "a.wav", tone()[:length])) == code


def test_400_samples_at_the_encoders_rate_are_enough(tmp_path):
    assert len(read_audio(written(tmp_path / "a.wav", tone()[:400]), sample_rate=RATE)[0]) == 400
    assert reason(written(tmp_path / "b.wav", tone()[:400], 48_000)) == "too_short"


def test_a_rate_that_no_recording_has_is_refused(tmp_path):
    assert reason(written(tmp_path / "a.wav", tone(), 1)) == "bad_rate"


def test_files_that_cannot_be_opened_are_refused(tmp_path, monkeypatch):
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "broken.wav").symlink_to("gone.wav")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    codes = {name: reason(tmp_path / f"{name}.wav") for name in ("loop", "broken", "folder", "pipe", "absent")}
    assert codes == dict(loop="unreadable", broken="missing", folder="unreadable", pipe="unreadable", absent="missing")
    path = written(tmp_path / "a.wav", tone())
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert reason(path) == "unreadable"


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html><html><body>404</body></html>" * 50, bytes(range(1, 250)) * 40])
@pytest.mark.parametrize("name", [*FORMATS, "raw", "au", "vox"])
def test_files_that_are_not_audio_are_refused_with_any_name(tmp_path, name, data):
    (tmp_path / f"a.{name}").write_bytes(data)
    assert reason(tmp_path / f"a.{name}") == "not_audio"


@pytest.mark.parametrize("data, detail, remedy", [
    ("Yes, «oui».\nsaid Zoë".encode(), "text, 'Yes, «oui». said Zoë'", "put the recording in its place, or remove the file"),
    ("é".encode() * 5000, f"text, '{'é' * 40}…'", "put the recording in its place, or remove the file"),
    (b"", "an empty file", "get the file again, or remove it"),
    (b"\x01\x02" * 500, "libsndfile: Format not recognised.", "replace or remove the file; if ffmpeg can read it: ffmpeg -i "),
])  # fmt: skip
def test_text_and_empty_files_get_no_line_for_ffmpeg(tmp_path, data, detail, remedy):
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(BadAudio) as caught:
        decode(tmp_path / "a.wav")
    assert caught.value.detail == detail and caught.value.remedy.startswith(remedy)
    assert ("ffmpeg" in caught.value.remedy) == (b"\x01" in data)


@pytest.mark.parametrize("name", ["a\nb.wav", "\x07.wav", "\x9b.wav", "", " ", "a/" + "ü" * 128, "\udcff.wav"])
def test_names_that_cannot_be_handled_are_refused(name):
    with pytest.raises(BadAudio) as caught:
        check_name(name)
    assert caught.value.reason == "bad_name"
    str(caught.value).encode()


@pytest.mark.parametrize("name", ["a b.wav", "'\";&*?[]{}.wav", "-rf.wav", "ü.wav", "u\u0308.wav", "🎤/🎤.wav", "ü" * 127])
def test_odd_names_pass(name):
    check_name(name)


def test_the_error_has_place_rule_expected_got_and_remedy(tmp_path):
    with pytest.raises(BadAudio) as caught:
        read_audio(tmp_path / "gone.wav", sample_rate=RATE)
    assert str(caught.value) == (
        f"{tmp_path}/gone.wav: the file must exist; expected usable audio, "
        "got missing: No such file or directory; correct the path where it is written, or put the file there"
    )
    copy = pickle.loads(pickle.dumps(caught.value))
    assert vars(copy) == vars(caught.value) and str(copy) == str(caught.value)


def writable(name):
    """Return the subtypes of a format that soundfile writes, each with the bytes of a file of one second."""
    found = {}
    for subtype in soundfile.available_subtypes(name):
        for rate in (RATE, 8_000):
            buffer = io.BytesIO()
            try:
                soundfile.write(buffer, tone(rate=rate), rate, format=name, subtype=subtype)
            except (soundfile.LibsndfileError, ValueError):
                continue
            found.setdefault(subtype, buffer.getvalue())
    return found


# SD2 has a second file, which libsndfile would write into the working directory and look for from then on.
@pytest.mark.parametrize("name", sorted(soundfile.available_formats().keys() - {"SD2"}))
def test_no_format_that_soundfile_writes_is_read_without_its_end(tmp_path, name):
    path = tmp_path / f"a.{name.lower()}"
    for subtype, whole in writable(name).items():
        for fraction in (0.1, 0.5, 0.9):
            path.write_bytes(whole[: int(len(whole) * fraction)])
            with pytest.raises(BadAudio):
                pytest.fail(f"{subtype}: {len(decode(path)[0])} samples of a file cut at {fraction}")


@pytest.mark.parametrize(
    "name, command", [("VOC", "ffmpeg -i"), ("IRCAM", "ffmpeg -i"), ("MAT5", "python -c "), ("XI", "python -c ")]
)
def test_formats_that_do_not_show_their_end_are_refused_with_the_command_that_converts_them(tmp_path, name, command):
    path = tmp_path / f"a.{name.lower()}"
    path.write_bytes(next(iter(writable(name).values())))
    with pytest.raises(BadAudio) as caught:
        decode(path)
    assert caught.value.reason == "unchecked" and command in caught.value.remedy
    text = caught.value.remedy.removeprefix("if it is whole, convert it: ").removesuffix(" (and use that file instead)")
    if command.startswith("python"):
        subprocess.run(text.replace("python", sys.executable, 1), shell=True, check=True)
        assert len(decode(tmp_path / "a.wav")[0]) > 7_000


def test_every_code_is_documented():
    import speech2unit.corpora.audio

    assert all(f"`{code}`" in speech2unit.corpora.audio.__doc__ for code in RULES)


def test_a_segment_is_read_measured_and_checked_by_itself(tmp_path):
    path = written(tmp_path / "a.wav", np.concatenate([tone(), np.zeros_like(tone())]))
    whole, info = decode(path)
    waveform, part = read_audio(path, sample_rate=RATE, start_seconds=0.25, end_seconds=0.5)
    assert np.array_equal(waveform, whole[RATE // 4 : RATE // 2]) and part.audio_hash != info.audio_hash
    assert len(read_audio(path, sample_rate=RATE, start_seconds=0.5)[0]) == len(whole) - RATE // 2
    last = len(whole) / RATE
    for start, end, reason in ((last - 0.5, last, "silent"), (last, last + 1, "no_samples"), (0.0, 0.01, "too_short")):
        with pytest.raises(BadAudio) as caught:
            read_audio(path, sample_rate=RATE, start_seconds=start, end_seconds=end)
        assert caught.value.reason == reason


def outcome(function, *arguments):
    """Samples as bytes and `AudioInfo`, or the reason of the error."""
    try:
        samples, info = function(*arguments)
    except BadAudio as error:
        return error.reason
    return samples.tobytes(), info


@pytest.fixture
def passes(monkeypatch):
    """List of the files that are read, once for each pass through them."""
    paths = []

    class CountingSource(module.Source):
        def __init__(self, file, contents, path):
            paths.append(path)
            super().__init__(file, contents, path)

    monkeypatch.setattr(module, "Source", CountingSource)
    return paths


@pytest.mark.parametrize("name", FORMATS)
def test_segments_that_are_decoded_together_are_those_that_are_decoded_alone(tmp_path, passes, monkeypatch, name):
    monkeypatch.setattr(audio_source, "BLOCK_FRAMES", 30_000)
    rng = np.random.default_rng(0)
    samples = np.concatenate([tone(3, 44_100, channels=2), np.zeros((44_100, 2), np.float32), tone(2, 44_100, channels=2)])
    samples += rng.normal(0, 0.01, samples.shape).astype(np.float32) * (samples != 0)
    samples[44_100 : 2 * 44_100, 1] *= -1  # here the channels cancel each other
    path = written(tmp_path / f"a.{name}", samples, 44_100)
    spans = [(0.0, 0.7), (0.5, 0.9), (1.1, 1.9), (3.2, 3.8), (1.3, 1.8), (2.0, 5.5), (4.5, 5.0), (5.8, 8.0), (90.0, 91.0)]
    rows = [dict(path=path.name, start_seconds=start, end_seconds=end) for start, end in spans]
    alone = [outcome(decode, path, *span) for span in spans]
    passes.clear()
    together = SegmentDecoder(rows)
    assert [outcome(together, path, *span) for span in spans] == alone
    assert len(passes) == 2  # the second for the two segments in which channels cancel each other
    reasons = [result for result in alone if isinstance(result, str)]
    assert reasons[-1] == "no_samples" and [CANCELLING in result[1].remarks for result in alone[:3]] == [False, False, True]


def test_all_segments_of_a_damaged_file_have_its_error(tmp_path, passes):
    path = written(tmp_path / "a.wav", tone(3))
    path.write_bytes(path.read_bytes()[:50_000])
    rows = [dict(path="a.wav", start_seconds=start, end_seconds=start + 0.5) for start in (0.0, 1.0, 2.0)]
    together = SegmentDecoder(rows)
    assert [outcome(together, path, row["start_seconds"], row["end_seconds"]) for row in rows] == ["truncated"] * 3
    assert len(passes) <= 1


def test_segments_are_decoded_together_for_at_most_half_an_hour():
    def row(path, start=0.0, end=None):
        return dict(path=path, start_seconds=start, end_seconds=end)

    long = [row("long", start, start + 600.0) for start in (0.0, 600.0, 1200.0, 1800.0, 2400.0)]
    rows = [row("a"), long[0], row("b"), row("short", 5.0, 6.0), *long[1:], row("huge", 0.0, 7200.0), row("huge", 7200.0, 7201.0)]
    whole_files, groups = segments_together(rows)
    assert whole_files == [rows[0], rows[2]]
    assert groups == [long[:3], long[3:], [rows[3]], [rows[-2]], [rows[-1]]]


@pytest.mark.parametrize("speed", [1.0, 0.9])
def test_a_recording_that_changed_after_its_manifest_was_made_is_refused(tmp_path, speed):
    path = written(tmp_path / "a.wav", tone())
    row = dict(start_seconds=0.0, end_seconds=None, speed=speed, audio_hash=decode(path)[1].audio_hash)
    assert np.array_equal(read_utterance(path, row, sample_rate=RATE), read_audio(path, sample_rate=RATE, speed=speed)[0])
    written(path, 0.5 * tone())
    with pytest.raises(
        ValueError, match=r"a\.wav: a recording must be the one that its manifest lists; .*--forcerun make_manifest"
    ):
        read_utterance(path, row, sample_rate=RATE)
