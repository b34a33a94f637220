"""Whatever a header announces, all audio of a file is read, or the file is refused with a reason and what to type."""

import os
import shlex
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech2unit.corpora.audio import BadAudio, decode
from tests.speech2unit.corpora.containers.recordings import (
    CODECS,
    FORMATS_OF_LIBAV,
    RATE,
    encoded,
    ffmpeg,
    ffmpeg_seconds,
    needs_ffmpeg,
    ogg_pages,
    signed,
    speech,
)

pytestmark = needs_ffmpeg
LENGTHS = (0.3, 1.0, 2.7)
EXAMPLES = 20 if os.environ.get("FAULTS") == "all" else 3
FRAME_SECONDS = 0.12  # encoders add a frame or two, and ffmpeg plays the frame that announces the length of a joined MP3
CODECS_OF_LIBSNDFILE = [name for name in CODECS if name not in FORMATS_OF_LIBAV]


def shortened_wav(data, part, _):
    at = data.index(b"data")
    return data[: at + 4] + struct.pack("<I", int(len(data) * part) // 2 * 2) + data[at + 8 :]


def open_wav(data, part, other):
    """A length as recorders write it that were stopped, or that write into a pipe."""
    at = data.index(b"data")
    sizes = (0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFF00, 0x7FFFF000, 0x7FFFFFFF - 44, 0x80000000)
    outer = (0, 4088, 0xFFFFFFFF, 36, len(data) - 8)
    size, riff = sizes[int(part * 97) % len(sizes)], outer[int(part * 61) % len(outer)]
    return data[:4] + struct.pack("<I", riff) + data[8 : at + 4] + struct.pack("<I", size) + data[at + 8 :]


def two_chunks(data, part, other):
    at = data.index(b"data")
    middle = at + 8 + int((len(data) - at - 8) * part) // 2 * 2
    chunks = (b"LIST\x04\0\0\0INFO", b"data" + struct.pack("<I", len(data) - middle) + data[middle:])
    return data[: at + 4] + struct.pack("<I", middle - at - 8) + data[at + 8 : middle] + b"".join(chunks)


def wrong_total(data, part, _):
    total = int.from_bytes(data[21:26], "big")
    samples = total & (1 << 36) - 1
    return data[:21] + (total - samples + int(samples * part)).to_bytes(5, "big") + data[26:]


def no_total(data, part, other):
    return wrong_total(data, 0, other)


def joined(data, part, other):
    return data + other


def early_end(data, part, _):
    """A flag on one of the pages says that the stream ends there."""
    pages = ogg_pages(data)
    number = min(2 + int(part * (len(pages) - 2)), len(pages) - 1)
    pages[number][5] |= 4
    return b"".join(map(signed, pages))


def early_position(data, part, _):
    """The last page announces an earlier end than the pages before it."""
    pages = ogg_pages(data)
    pages[-1][6:14] = int(part * int.from_bytes(pages[-2][6:14], "little")).to_bytes(8, "little")
    return b"".join(map(signed, pages))


def early_position_in_page(data, part, _):
    """The last page announces an end within itself, earlier than encoders do."""
    pages = ogg_pages(data)
    rate = 48_000 if b"OpusHead" in data else RATE
    end = int.from_bytes(pages[-1][6:14], "little") - int((0.26 + part) * rate)
    pages[-1][6:14] = max(end, 1).to_bytes(8, "little")
    return b"".join(map(signed, pages))


def fewer_frames(data, part, other):
    at = max(data.find(b"Xing"), data.find(b"Info"))
    count = int.from_bytes(data[at + 8 : at + 12], "big")
    return data[: at + 8] + int(count * part).to_bytes(4, "big") + data[at + 12 :]


def tagged_in_between(data, part, other):
    return data + b"TAG" + b"x" * 125 + b"ID3\x04\0\0\0\0\x4f\0" + bytes(0x4F << 7) + other


def unannounced_after(data, part, other):
    return data + encoded("mp3_vbr_bare", 1.0)


def bare(data, part, other):
    return data


JOINABLE = ["wav", "float", "flac", "flac8", "vorbis", "opus", "opus60", "mp3", "mp3_vbr", "mp3_cbr_bare", "mp3_vbr_bare", "mp3_44k", "mp3_stereo"]  # fmt: skip
WAYS = {
    shortened_wav: ["wav", "float"],
    open_wav: ["wav", "float", "adpcm"],
    two_chunks: ["wav"],
    wrong_total: ["flac", "flac8"],
    no_total: ["flac", "flac8"],
    joined: [*JOINABLE, "w64", "aiff", "caf", "au", "adpcm", "mp3_in_wav", "mp2"],
    early_end: ["vorbis", "opus", "opus60"],
    early_position: ["vorbis", "opus", "opus60"],
    early_position_in_page: ["vorbis", "opus", "opus60"],
    fewer_frames: ["mp3", "mp3_vbr"],
    tagged_in_between: ["mp3", "mp3_vbr", "mp3_cbr_bare", "mp3_vbr_bare"],
    unannounced_after: ["mp3_vbr"],
    bare: CODECS_OF_LIBSNDFILE,
}
CASES = [(way, codec) for way, codecs in WAYS.items() for codec in codecs]


@pytest.mark.slow
@pytest.mark.parametrize("way, codec", CASES, ids=[f"{way.__name__}-{codec}" for way, codec in CASES])
def test_all_audio_is_read_or_the_file_is_refused(tmp_path_factory, record_property, way, codec):
    path = tmp_path_factory.mktemp("audio") / "a b.bin"
    results = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.floats(0.02, 0.97), st.sampled_from(LENGTHS), st.sampled_from(LENGTHS))
    def check(part, seconds, other_seconds):
        first = encoded(codec, seconds)
        if way is early_position and (pages := ogg_pages(first)) and len(pages) < 4:
            return
        path.write_bytes(way(first, part, encoded(codec, other_seconds, seed=1)))
        expected = seconds + {joined: other_seconds, tagged_in_between: other_seconds, unannounced_after: 1.0}.get(way, 0)
        by_ffmpeg = ffmpeg_seconds(path)
        try:
            samples, info = decode(path)
        except BadAudio as error:
            assert way is not bare and error.reason == "more_audio", error
            assert f"ffmpeg -i '{path}' -c:a pcm_s16le '{path.with_suffix('.wav')}'" in str(error)
            results.append("refused")
            return
        found = len(samples) / info.sample_rate
        assert found >= expected - 1e-3 and found >= by_ffmpeg - 2 * FRAME_SECONDS, (found, expected, by_ffmpeg)
        assert found <= expected + 2 * FRAME_SECONDS
        results.append("read")

    check()
    refusing = {shortened_wav, early_end, early_position, early_position_in_page}
    if codec in ("aiff", "caf", "au", "mp3_in_wav") and way is joined:
        refusing.add(joined)
    assert set(results) <= ({"refused", "read"} if way is early_end else {"refused"} if way in refusing else {"read"})
    record_property("injected", len(results))
    record_property("detected", len(results))


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["mp3_vbr_bare", "mp3_cbr_bare", "mp3_44k", "mp3_stereo", "mp3", "mp2"])
def test_what_is_read_of_mpeg_audio_is_what_ffmpeg_reads(tmp_path, codec):
    path = tmp_path / "a"
    path.write_bytes(encoded(codec, 2.7))
    samples, info = decode(path)
    expected = np.frombuffer(ffmpeg("-i", path, "-f", "f32le", "-"), np.float32).reshape(-1, info.channels).mean(axis=1)
    assert len(samples) == len(expected) and np.abs(samples - expected).max() < 1e-4


@pytest.mark.slow
def test_joined_files_are_their_parts(tmp_path):
    for codec in JOINABLE:
        parts = []
        for seed in (0, 1):
            (tmp_path / "part").write_bytes(encoded(codec, 1.0, seed))
            parts.append(decode(tmp_path / "part")[0])
        (tmp_path / "whole").write_bytes(encoded(codec, 1.0, 0) + encoded(codec, 1.0, 1))
        whole, info = decode(tmp_path / "whole")
        assert len(whole) == sum(map(len, parts)) and info.remarks, codec
        if not codec.startswith("mp3"):  # frames of MP3 overlap
            assert np.array_equal(whole, np.concatenate(parts)), codec


@pytest.mark.slow
def test_parts_that_differ_in_their_rate_are_refused_and_the_line_repairs_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for first, second in (("mp3_vbr_bare", "mp3_44k"), ("mp3", "mp3_stereo")):
        (tmp_path / "a b.mp3").write_bytes(encoded(first, 1.0) + encoded(second, 1.0))
        with pytest.raises(BadAudio) as caught:
            decode("a b.mp3")
        assert caught.value.reason == "more_audio"
        command = caught.value.remedy.removeprefix("repair it: ").removesuffix(" (and use that file instead)")
        ffmpeg(*shlex.split(command)[1:])
        samples, info = decode("a b.wav")
        assert 1.9 < len(samples) / info.sample_rate < 2.2


@pytest.mark.slow
def test_the_line_for_a_wav_whose_header_ends_too_early_repairs_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").write_bytes(shortened_wav(encoded("wav", 1.0), 0.3, None))
    with pytest.raises(BadAudio) as caught:
        decode("a.wav")
    command = caught.value.remedy.removeprefix("if they are audio: ").split(" (and use")[0]
    assert command == "ffmpeg -ignore_length 1 -i a.wav -c:a pcm_s16le a_repaired.wav"
    ffmpeg(*shlex.split(command)[1:])
    assert len(decode("a_repaired.wav")[0]) == RATE


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS_OF_LIBSNDFILE)
@pytest.mark.parametrize("end", ["zeros", "tag", "ape"])
def test_tags_and_zeros_after_the_audio_do_no_harm(tmp_path, codec, end):
    path = tmp_path / "a"
    path.write_bytes(data := encoded(codec, 1.0))
    samples, info = decode(path)
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 300, 1, 5 << 29) + bytes(8) + b"x" * 300
    ends = dict(zeros=bytes(3000), tag=b"TAG" + b"title".ljust(125, b"\0"), ape=ape)
    if (end != "zeros" and CODECS[codec][1] == "ogg") or (end == "ape" and CODECS[codec][1] not in ("mp3", "mp2", "flac", "wav")):
        return
    path.write_bytes(data + ends[end])
    again, again_info = decode(path)
    assert np.array_equal(samples, again) and info.audio_hash == again_info.audio_hash


@pytest.mark.slow
def test_tags_and_containers_do_not_change_the_hash_of_compressed_audio(tmp_path):
    for codec, containers in (("mp3", ("mp3",)), ("mp3_vbr_bare", ("wav",)), ("vorbis", ("ogg",)), ("opus", ("ogg",))):
        (tmp_path / "a").write_bytes(encoded(codec, 1.0))
        hashes = {decode(tmp_path / "a")[1].audio_hash}
        for container in containers:
            ffmpeg("-i", tmp_path / "a", "-c", "copy", "-metadata", "title=other", "-f", container, tmp_path / f"b.{container}")
            hashes.add(decode(tmp_path / f"b.{container}")[1].audio_hash)
        assert len(hashes) == 1, codec


@pytest.mark.slow
def test_whole_files_with_odd_headers_are_read(tmp_path):
    """Headers as programs write them that cannot go back to the start, or that are wrong where it does not matter."""
    samples = (speech(1.0) * 32767).astype("<i2").tobytes()
    size = len(samples)

    def wav(data_size, riff_size, byte_rate=2 * RATE):
        form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, byte_rate, 2, 16)
        return b"RIFF" + struct.pack("<I", riff_size) + form + b"data" + struct.pack("<I", data_size) + samples

    (tmp_path / "in.wav").write_bytes(wav(size, size + 36))
    expected = decode(tmp_path / "in.wav")
    heads = dict(
        arecord=(0x7FFFFF00, 0x7FFFFF24), crashed=(0, 4088), rate=(size, size + 36, 64_000), streamed=(2**32 - 37, 2**32 - 1)
    )
    files = {name: wav(*head) for name, head in heads.items()}
    files["outer length"] = wav(size, 36)
    files["tags"] = wav(size, size + 36) + b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    files["cut tags"] = wav(size, size + 36) + b"LIST" + struct.pack("<I", 500) + b"INFOx\0"
    files["flac"] = ffmpeg("-i", tmp_path / "in.wav", "-f", "flac", "-")
    files["rf64"] = ffmpeg("-i", tmp_path / "in.wav", "-rf64", "always", "-f", "wav", "-")
    files["w64"] = ffmpeg("-i", tmp_path / "in.wav", "-f", "w64", "-")
    files["au"] = ffmpeg("-i", tmp_path / "in.wav", "-c:a", "pcm_s16be", "-f", "au", "-")
    files["caf"] = ffmpeg("-i", tmp_path / "in.wav", "-c:a", "pcm_s16be", "-f", "caf", "-")
    for name, data in files.items():
        (tmp_path / "a").write_bytes(data)
        samples_read, info = decode(tmp_path / "a")
        assert np.array_equal(samples_read, expected[0]) and info.audio_hash == expected[1].audio_hash, name
