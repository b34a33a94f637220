"""Audio files → float32 mono waveforms, or `BadAudio` with one of these reason codes:

`bad_name` control characters, not UTF-8, or more than 255 bytes; `missing` no such file; `unreadable` no permission, a
folder, a link loop, a device; `not_audio` empty, HTML, or whatever else libsndfile refuses; `truncated` the header promises
more than there is; `damaged` a checksum or the decoder fails (a cut FLAC too: its decoder stops); `bad_rate` a sample rate
that no recording has; `no_samples`; `too_short` < 400 samples as the encoder reads it (HuBERT's receptive field);
`not_finite` NaN or infinity; `silent` every sample the same.

Converted, not rejected: any number of channels (averaged), any sample rate and sample format, any file name extension,
and clipped audio (`AudioInfo.clipped` tells). PCM in WAV and frames in MP3 carry no checksum: flipped bits there are noise
that nobody can detect.
"""

import hashlib
import mmap
import os
import re
import stat
import zlib
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from storage.errors import data_error

RULES = {
    "bad_name": "names must be processable",
    "missing": "the file must exist",
    "unreadable": "the file must be readable",
    "not_audio": "the file must be audio",
    "truncated": "the file must be whole",
    "damaged": "the file must be undamaged",
    "bad_rate": "the sample rate must be plausible",
    "no_samples": "the file must hold audio",
    "too_short": "the audio must fill one encoder frame",
    "not_finite": "samples must be finite",
    "silent": "samples must differ",
}
MIN_SAMPLES = 400  # 25 ms at 16 kHz: HuBERT's first frame; its convolutions fail below
MAX_NAME_BYTES = 255  # longest file name of ext4, xfs, apfs
RATES_HZ = (4_000, 768_000)
BLOCK_FRAMES = 1 << 20
FULL_SCALE = 32767 / 32768  # of 16 bits
CLIPPED_FRACTION = 0.001
UNKNOWN_SIZES = {0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000}  # written by ffmpeg, arecord, sox where the length was not known
PROMISE = re.compile(r"^\s*(?!RIFF|FORM)\S[^:]*: (\d+) \(should be (\d+)\)", re.MULTILINE)  # in libsndfile's log
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # Ogg's CRC is zlib's with the bits the other way


class BadAudio(ValueError):
    """A file that breaks a rule: `reason` is a key of `RULES`, `detail` what was found."""

    def __init__(self, path, reason, detail):
        text = data_error(
            ascii(str(path))[1:-1],
            RULES[reason],
            expected="audio that can be converted",
            got=f"{reason}: {detail}",
            remedy="repair or remove the file, or leave it to rejected.parquet",
        )
        super().__init__(str(text))
        self.path, self.reason, self.detail = path, reason, detail

    def __reduce__(self):
        return BadAudio, (self.path, self.reason, self.detail)


@dataclass(frozen=True)
class AudioInfo:
    """What the file was: rate in Hz, channels, whether > 0.1 % of its samples are at full scale, hash of its mono samples."""

    sample_rate: int
    channels: int
    clipped: bool
    audio_hash: str


def read_audio(path, *, sample_rate, speed=1.0, start_seconds=0.0, end_seconds=None):
    """The file as (float32 mono waveform `[N]` at `sample_rate` Hz, `AudioInfo`), played faster by `speed`. Raises `BadAudio`.

    `start_seconds`, `end_seconds`: read only this part of the file (None: to its end).
    """
    samples, info = decode(path, start_seconds, end_seconds)
    return convert(samples, info.sample_rate, sample_rate=sample_rate, speed=speed, path=path), info


def read_utterance(path, row, *, sample_rate):
    """The float32 mono waveform `[N]` at `sample_rate` Hz that a row of a manifest stands for, played at the row's speed.

    `path`: of its file. Raises `BadAudio`, and `ValueError` where the file is no longer what the manifest lists.
    """
    waveform, info = read_audio(path, sample_rate=sample_rate, speed=row["speed"], **segment_times(row))
    if info.audio_hash != row["audio_hash"]:
        raise data_error(
            path,
            "a recording must be the one that its manifest lists",
            expected=f"samples with the hash {row['audio_hash']}",
            got=info.audio_hash,
            remedy="put the recording back, or read the corpus again: add --forcerun make_manifest",
        )
    return waveform


def segment_times(row):
    """Return the start and end of a manifest row's utterance within its file, as arguments of `read_audio`."""
    return dict(start_seconds=row["start_seconds"], end_seconds=row["end_seconds"])


def decode(path, start_seconds=0.0, end_seconds=None):
    """Return a segment of the file (None: to its end) as (float32 mono samples `[N]` at its own rate, its `AudioInfo`).

    Channels are averaged; damage anywhere in the file counts. Raises `BadAudio`.
    """
    with _open(path) as file:
        _check_ogg(file, path)
        try:
            # by descriptor: libsndfile then goes by content, never by the name's extension
            sound = soundfile.SoundFile(file.fileno(), closefd=False)
        except (soundfile.LibsndfileError, OSError) as error:
            raise BadAudio(path, "not_audio", f"libsndfile: {error.error_string}") from error
        with sound:
            return _read(sound, path, start_seconds, end_seconds)


def convert(samples, source_rate, *, sample_rate, speed, path):
    """`samples` `[N]` at `source_rate` Hz → float32 waveform `[N · sample_rate / (source_rate · speed)]`.

    Playing faster by `speed` moves the pitch too, as Kaldi's speed perturbation does. The rate to convert from is rounded
    to whole Hz, so 0.9 gives the same audio as float32 and as float64. Raises `BadAudio`: `too_short`.
    """
    waveform = soxr.resample(samples, round(source_rate * speed), sample_rate, quality="HQ")
    if len(waveform) < MIN_SAMPLES:
        raise BadAudio(path, "too_short", f"{len(waveform)} samples at {sample_rate} Hz, at least {MIN_SAMPLES} needed")
    return waveform


def check_name(name):
    """Refuse names that later stages or other file systems cannot hold. Raises `BadAudio`: `bad_name`."""
    try:
        longest = max(len(part.encode()) for part in name.split("/"))
    except UnicodeEncodeError as error:
        raise BadAudio(name, "bad_name", f"not UTF-8: {name!a}") from error
    if longest > MAX_NAME_BYTES:
        raise BadAudio(name, "bad_name", f"{longest} bytes, at most {MAX_NAME_BYTES} can be held")
    if not name.strip() or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        raise BadAudio(name, "bad_name", f"empty or with control characters: {name!a}")


def _open(path):
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise BadAudio(path, "unreadable", f"not a regular file ({stat.filemode(mode)})")
        file = open(path, "rb")
    except FileNotFoundError as error:
        raise BadAudio(path, "missing", error.strerror) from error
    except OSError as error:
        raise BadAudio(path, "unreadable", error.strerror) from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise BadAudio(path, "not_audio", "an empty file")
    return file


def _read(sound, path, start_seconds, end_seconds):
    """Mono samples and `AudioInfo` of an open sound, block by block so that channels cost no memory."""
    if not RATES_HZ[0] <= sound.samplerate <= RATES_HZ[1]:
        raise BadAudio(path, "bad_rate", f"{sound.samplerate} Hz, {RATES_HZ[0]} to {RATES_HZ[1]} are possible")
    blocks, at_full_scale = [], 0
    try:
        # soundfile seeks after each read, which disturbs an MP3 decoder: those are read in one go
        frames = -1 if sound.format == "MP3" else BLOCK_FRAMES
        while len(block := sound.read(frames, dtype="float32", always_2d=True)):
            at_full_scale += np.count_nonzero(np.abs(block) >= FULL_SCALE)
            blocks.append(block.mean(axis=1))
    except soundfile.LibsndfileError as error:
        raise BadAudio(path, "damaged", f"the decoder stopped: {error}") from error
    samples = np.concatenate([*blocks, np.empty(0, np.float32)])
    blocks.clear()  # of an hour 230 MB, as in each copy that is not made below
    _check_whole(sound, len(samples), path)
    end = None if end_seconds is None else round(end_seconds * sound.samplerate)
    samples = samples[round(start_seconds * sound.samplerate) : end]
    check_samples(samples, path)
    clipped = at_full_scale > CLIPPED_FRACTION * len(samples) * sound.channels
    audio_hash = hashlib.blake2b(samples, digest_size=16).hexdigest()
    return samples, AudioInfo(sound.samplerate, sound.channels, bool(clipped), audio_hash)


def _check_whole(sound, num_read, path):
    """libsndfile reads a cut file without an error; but the header's promises are in its log and in `frames`."""
    if num_read < sound.frames:
        raise BadAudio(path, "truncated", f"{sound.frames} frames promised, {num_read} read")
    for promised, found in PROMISE.findall(sound.extra_info):
        if int(found) < int(promised) and int(promised) not in UNKNOWN_SIZES:
            raise BadAudio(path, "truncated", f"{promised} bytes promised, {found} found")


def check_samples(samples, path):
    if not len(samples):
        raise BadAudio(path, "no_samples", "a header and no audio")
    low, high = samples.min(), samples.max()  # NaN if any sample is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadAudio(path, "not_finite", f"{np.count_nonzero(~np.isfinite(samples))} samples are NaN or infinite")
    if low == high:
        raise BadAudio(path, "silent", f"every sample is {low:g}")


def _check_ogg(file, path):
    """Every page of an Ogg file must be there with its checksum (RFC 3533): libsndfile drops damaged pages in silence."""
    if os.pread(file.fileno(), 4, 0) != b"OggS":  # before the map, which takes longer than all else of a short clip
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start, flags, numbers = 0, 0, {}
        while start < len(data):
            page = _ogg_page(data, start, path)
            flags, serial, number = page[5], page[14:18], int.from_bytes(page[18:22], "little")
            if number != numbers.setdefault(serial, number):
                raise BadAudio(path, "damaged", f"Ogg page {numbers[serial]} is missing")
            numbers[serial] = number + 1
            start += len(page)
    if not flags & 4:
        raise BadAudio(path, "truncated", "the last Ogg page does not end the stream")


def _ogg_page(data, start, path):
    """The bytes of the page at `start`: 27 bytes, a table of segment lengths, the segments."""
    if start + 27 > len(data):
        raise BadAudio(path, "truncated", "an Ogg page header is cut")
    if data[start : start + 4] != b"OggS":
        raise BadAudio(path, "damaged", f"no Ogg page at byte {start}")
    body = start + 27 + data[start + 26]
    end = body + sum(data[start + 27 : body])
    if end > len(data):
        raise BadAudio(path, "truncated", f"an Ogg page ends at byte {end}, the file at {len(data)}")
    page = data[start:end]
    blank = (page[:22] + bytes(4) + page[26:]).translate(REVERSED)
    checksum = zlib.crc32(blank, 0xFFFFFFFF) ^ 0xFFFFFFFF
    if int(f"{checksum:032b}"[::-1], 2) != int.from_bytes(page[22:26], "little"):
        raise BadAudio(path, "damaged", f"wrong checksum of the Ogg page at byte {start}")
    return page
