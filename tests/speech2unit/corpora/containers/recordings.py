"""Files of many formats for the tests of `containers`, made by ffmpeg, and what ffmpeg finds in them."""

import functools
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech2unit.corpora.containers.ogg import REVERSED

RATE = 16_000
CODECS = {  # name → options of ffmpeg, format
    "wav": ("-c:a pcm_s16le", "wav"),
    "float": ("-c:a pcm_f32le", "wav"),
    "adpcm": ("-c:a adpcm_ima_wav", "wav"),
    "w64": ("-c:a pcm_s16le", "w64"),
    "aiff": ("-c:a pcm_s16be", "aiff"),
    "caf": ("-c:a pcm_s16be", "caf"),
    "au": ("-c:a pcm_s16be", "au"),
    "flac": ("-c:a flac", "flac"),
    "flac8": ("-c:a flac -frame_size 576 -compression_level 8", "flac"),
    "vorbis": ("-c:a libvorbis", "ogg"),
    "opus": ("-c:a libopus", "ogg"),
    "opus60": ("-c:a libopus -frame_duration 60", "ogg"),
    "mp3": ("-c:a libmp3lame -b:a 64k", "mp3"),
    "mp3_vbr": ("-c:a libmp3lame -q:a 5", "mp3"),
    "mp3_cbr_bare": ("-c:a libmp3lame -b:a 48k -write_xing 0 -id3v2_version 0", "mp3"),
    "mp3_vbr_bare": ("-c:a libmp3lame -q:a 6 -write_xing 0", "mp3"),
    "mp3_44k": ("-ar 44100 -c:a libmp3lame -q:a 4 -write_xing 0", "mp3"),
    "mp3_stereo": ("-ac 2 -c:a libmp3lame -q:a 4 -write_xing 0", "mp3"),
    "mp3_in_wav": ("-c:a libmp3lame -b:a 64k", "wav"),
    "mp2": ("-ar 32000 -c:a mp2", "mp2"),
    "m4a": ("-c:a aac", "ipod"),
    "alac": ("-c:a alac", "ipod"),
    "mp4_pieces": ("-c:a aac -movflags frag_keyframe+empty_moov", "mp4"),
    "aac": ("-c:a aac", "adts"),
    "webm": ("-c:a libopus", "webm"),
    "mka": ("-c:a aac", "matroska"),
}
FORMATS_OF_LIBAV = ("m4a", "alac", "mp4_pieces", "aac", "webm", "mka")

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def speech(seconds, seed=0, rate=RATE):
    """Return a sound whose level and spectrum change, so that variable bit rates vary: array [N]."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 150 * k * times * (1 + 0.05 * np.sin(3 * times + seed))) / k for k in range(1, 9))
    level = 0.1 + np.abs(np.sin(2 * np.pi * 1.3 * times + seed))
    return (0.15 * voice * level + 0.02 * rng.standard_normal(len(times)) * (np.sin(5 * times) > 0)).astype(np.float32)


@functools.cache
def encoded(codec, seconds, seed=0):
    """Return the bytes of a file as ffmpeg makes it."""
    options, container = CODECS[codec]
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(f"{folder}/in.wav", speech(seconds, seed), RATE)
        ffmpeg("-i", f"{folder}/in.wav", *options.split(), "-f", container, f"{folder}/out")
        return Path(folder, "out").read_bytes()


def ffmpeg(*arguments):
    return subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, capture_output=True).stdout


def ffmpeg_seconds(path, before=()):
    """Return how much sound ffmpeg finds, at 48 kHz, so that its resampling hides nothing."""
    call = ["ffmpeg", "-v", "quiet", *before, "-i", path, "-ac", "1", "-ar", "48000", "-f", "s16le", "-"]
    return len(subprocess.run(call, capture_output=True).stdout) / 2 / 48_000


def ogg_pages(data):
    """Return the pages of an Ogg file."""
    return [bytearray(b"OggS" + page) for page in data.split(b"OggS")[1:]]


def signed(page):
    """Return an Ogg page with its checksum made right."""
    page[22:26] = bytes(4)
    checksum = zlib.crc32(bytes(page).translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    page[22:26] = int(f"{checksum:032b}"[::-1], 2).to_bytes(4, "little")
    return bytes(page)
