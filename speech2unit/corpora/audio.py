"""Read audio files as float32 mono waveforms, or raise `BadAudio` with one of these reason codes:

* `bad_name`: control characters, not UTF-8, or more than 255 bytes
* `missing`: no such file
* `unreadable`: no permission, or a folder, a link loop, a device
* `not_audio`: empty, HTML, or anything else that libsndfile refuses
* `truncated`: the file is shorter than its header says
* `damaged`: a checksum or the decoder fails; also a FLAC file that was cut off, because its decoder fails
* `bad_rate`: a sample rate that no recording has
* `no_samples`: a header without audio
* `too_short`: fewer than 400 samples at the encoder's rate (the receptive field of HuBERT)
* `not_finite`: NaN or infinity
* `silent`: all samples are the same
* `too_long`: longer than a trained task can read at once; only when recordings are labelled
* `not_units`: something else than units of the codebook; only when units are labelled

Any sample rate and sample format, any number of channels (averaged) and any file name extension are converted. Clipped audio is
accepted, and `AudioInfo.clipped` is then true. PCM in WAV and frames in MP3 have no checksum, so flipped bits in them cannot be
distinguished from noise.
"""

import hashlib
import mmap
import os
import re
import shutil
import stat
import tempfile
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
    "too_long": "the recording must fit into memory",
    "not_units": "units must be numbers of the codebook",
}
MIN_SAMPLES = 400  # 25 ms at 16 kHz, the first frame of HuBERT; with fewer samples its convolutions fail
IN_MEMORY = "waveform"  # what messages call audio that comes from no file
MAX_NAME_BYTES = 255  # longest file name on ext4, xfs and apfs
RATES_HZ = (4_000, 768_000)  # lowest and highest sample rate
BLOCK_FRAMES = 1 << 20  # frames to read at once
FULL_SCALE = 32767 / 32768  # largest sample of 16 bits
CLIPPED_FRACTION = 0.001
UNKNOWN_SIZES = {0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000}  # ffmpeg, arecord and sox write these where the length is unknown
WRONG_LENGTH = re.compile(r"^\s*(?!RIFF|FORM)\S[^:]*: (\d+) \(should be (\d+)\)", re.MULTILINE)  # in libsndfile's log
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the CRC of Ogg is that of zlib with reversed bits


class BadAudio(ValueError):
    """Error about audio that breaks a rule. `reason` is a key of `RULES`, and `detail` says what is wrong."""

    def __init__(self, path, reason, detail):
        text = data_error(
            ascii(str(path))[1:-1],
            RULES[reason],
            expected="usable audio",
            got=f"{reason}: {detail}",
            remedy="repair or remove the file",
        )
        super().__init__(str(text))
        self.path = path
        self.reason = reason
        self.detail = detail

    def __reduce__(self):
        return BadAudio, (self.path, self.reason, self.detail)


@dataclass(frozen=True)
class AudioInfo:
    """Properties of an audio file, or of a segment of it."""

    sample_rate: int  # Hz
    channels: int
    clipped: bool  # whether more than 0.1 % of its samples are at full scale
    audio_hash: str  # hash of its mono samples


def read_audio(path, *, sample_rate, speed=1.0, start_seconds=0.0, end_seconds=None):
    """Read a file, or a segment of it, at a sample rate.

    Args:
        path: the file.
        sample_rate: rate of the waveform in Hz.
        speed: factor by which the audio is played faster.
        start_seconds: start of the segment.
        end_seconds: end of the segment; None: the end of the file.

    Returns:
        float32 mono waveform `[N]`, and the `AudioInfo` of the segment.

    Raises:
        BadAudio: if the file breaks one of the `RULES`.
    """
    samples, info = decode(path, start_seconds, end_seconds)
    return convert(samples, info.sample_rate, sample_rate=sample_rate, speed=speed, path=path), info


def read_utterance(path, row, *, sample_rate):
    """Read the utterance of a manifest row at the row's speed.

    Args:
        path: path of its audio file.
        row: the manifest row.
        sample_rate: rate of the waveform in Hz.

    Returns:
        float32 mono waveform `[N]`.

    Raises:
        ValueError: if the file breaks a rule (`BadAudio`), or has other samples than when the manifest was made.
    """
    waveform, info = read_audio(path, sample_rate=sample_rate, speed=row["speed"], **segment_times(row))
    if info.audio_hash != row["audio_hash"]:
        raise data_error(
            path,
            "a recording must be the one that its manifest lists",
            expected=f"samples with the hash {row['audio_hash']}",
            got=info.audio_hash,
            remedy="restore the recording, or read the corpus again: add --forcerun make_manifest",
        )
    return waveform


def segment_times(row):
    """Return start and end of a manifest row's utterance in its file, as keyword arguments of `read_audio`."""
    return dict(start_seconds=row["start_seconds"], end_seconds=row["end_seconds"])


def decode(path, start_seconds=0.0, end_seconds=None):
    """Read a file, or a segment of it, at its own sample rate.

    Args:
        path: the file, or a binary file object. All of it is checked for damage.
        start_seconds: start of the segment.
        end_seconds: end of the segment; None: the end of the file.

    Returns:
        float32 mono samples `[N]`, channels averaged, and the `AudioInfo` of the segment.

    Raises:
        BadAudio: if the file breaks one of the `RULES`.
    """
    with _copy(path) if hasattr(path, "read") else _open(path) as file:
        path = place_of(path)
        _check_ogg(file, path)
        try:
            # With a descriptor libsndfile recognizes the format by the content, not by the extension.
            sound = soundfile.SoundFile(file.fileno(), closefd=False)
        except (soundfile.LibsndfileError, OSError) as error:
            raise BadAudio(path, "not_audio", f"libsndfile: {error.error_string}") from error
        with sound:
            return _read(sound, path, start_seconds, end_seconds)


def convert(samples, source_rate, *, sample_rate, speed, path):
    """Resample samples and change their speed.

    A change of speed changes the pitch too, like Kaldi's speed perturbation. The source rate times the speed is rounded to
    whole Hz, so a speed of 0.9 gives the same audio as float32 and as float64.

    Args:
        samples: array `[N]`.
        source_rate: their rate in Hz.
        sample_rate: rate of the waveform in Hz.
        speed: factor by which the audio is played faster.
        path: name of the audio, for the error message.

    Returns:
        Waveform `[N · sample_rate / (source_rate · speed)]` of the same type.

    Raises:
        BadAudio: if the result has fewer than `MIN_SAMPLES` samples (`too_short`).
    """
    waveform = soxr.resample(samples, round(source_rate * speed), sample_rate, quality="HQ")
    if len(waveform) < MIN_SAMPLES:
        raise BadAudio(path, "too_short", f"{len(waveform)} samples at {sample_rate} Hz, at least {MIN_SAMPLES} needed")
    return waveform


def check_name(name):
    """Check a path. Raises `BadAudio` (`bad_name`) if later stages or other file systems could not handle its name."""
    try:
        longest = max(len(part.encode()) for part in name.split("/"))
    except UnicodeEncodeError as error:
        raise BadAudio(name, "bad_name", f"not UTF-8: {name!a}") from error
    if longest > MAX_NAME_BYTES:
        raise BadAudio(name, "bad_name", f"{longest} bytes, at most {MAX_NAME_BYTES} are possible")
    if not name.strip() or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        raise BadAudio(name, "bad_name", f"empty or with control characters: {name!a}")


def as_waveform(audio, sample_rate):
    """Return audio from a file or from memory as a float32 mono waveform `[N]`, checked as the files of a corpus are.

    Args:
        audio: path of a file; a binary file object; or a tuple (samples, rate in Hz) of a float array `[N]` or `[N, channels]`.
        sample_rate: rate of the waveform in Hz.

    Raises:
        ValueError: if the audio breaks one of the `RULES` (`BadAudio`), or an array is not of floats.
    """
    if not isinstance(audio, tuple):
        waveform, _ = read_audio(audio, sample_rate=sample_rate)
        return waveform
    samples, source_rate = audio
    samples = np.asarray(samples)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2):
        raise data_error(
            IN_MEMORY,
            "samples are floats between -1 and 1",
            expected="a float array [N] or [N, channels]",
            got=f"{samples.dtype} {list(samples.shape)}",
            remedy="divide 16 bit integers by 32768",
        )
    if not RATES_HZ[0] <= source_rate <= RATES_HZ[1]:
        raise _bad_rate(IN_MEMORY, source_rate)
    samples = samples.astype(np.float32)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    check_samples(samples, IN_MEMORY)
    return convert(samples, source_rate, sample_rate=sample_rate, speed=1.0, path=IN_MEMORY)


def place_of(audio):
    """Return what messages call audio: its path, the name of its file object, or `waveform`."""
    if isinstance(audio, tuple):
        return IN_MEMORY
    return getattr(audio, "name", "standard input") if hasattr(audio, "read") else audio


def _bad_rate(path, sample_rate):
    return BadAudio(path, "bad_rate", f"{sample_rate} Hz, not between {RATES_HZ[0]} and {RATES_HZ[1]}")


def _copy(file):
    """Return a temporary copy of a binary file object, which has a descriptor. Raises `BadAudio` if it is empty."""
    copy = tempfile.TemporaryFile()
    shutil.copyfileobj(file, copy)
    if not copy.tell():
        copy.close()
        raise BadAudio(place_of(file), "not_audio", "an empty file")
    copy.seek(0)
    return copy


def _open(path):
    """Open a file. Raises `BadAudio` if it does not exist, is not a regular file, cannot be read or is empty."""
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
    """Return mono samples and `AudioInfo` of an open sound. Reading block by block avoids keeping all channels in memory."""
    if not RATES_HZ[0] <= sound.samplerate <= RATES_HZ[1]:
        raise _bad_rate(path, sound.samplerate)
    blocks = []
    at_full_scale = 0
    try:
        # soundfile seeks after each read, which disturbs an MP3 decoder, so an MP3 file is read at once.
        frames = -1 if sound.format == "MP3" else BLOCK_FRAMES
        while len(block := sound.read(frames, dtype="float32", always_2d=True)):
            at_full_scale += np.count_nonzero(np.abs(block) >= FULL_SCALE)
            blocks.append(block.mean(axis=1))
    except soundfile.LibsndfileError as error:
        raise BadAudio(path, "damaged", f"the decoder stopped: {error}") from error
    samples = np.concatenate([*blocks, np.empty(0, np.float32)])
    blocks.clear()  # saves 230 MB for an hour
    _check_whole(sound, len(samples), path)
    end = None if end_seconds is None else round(end_seconds * sound.samplerate)
    samples = samples[round(start_seconds * sound.samplerate) : end]
    check_samples(samples, path)
    clipped = at_full_scale > CLIPPED_FRACTION * len(samples) * sound.channels
    audio_hash = hashlib.blake2b(samples, digest_size=16).hexdigest()
    return samples, AudioInfo(sound.samplerate, sound.channels, bool(clipped), audio_hash)


def _check_whole(sound, num_read, path):
    """Refuse a file that was cut off. libsndfile reads it without an error, but `frames` and the log give the length in the header."""
    if num_read < sound.frames:
        raise BadAudio(path, "truncated", f"{sound.frames} frames promised, {num_read} read")
    for promised, present in WRONG_LENGTH.findall(sound.extra_info):
        if int(present) < int(promised) and int(promised) not in UNKNOWN_SIZES:
            raise BadAudio(path, "truncated", f"{promised} bytes promised, {present} found")


def check_samples(samples, path):
    """Check samples `[N]` of the file `path`. Raises `BadAudio` if there are none, or if they are not finite or all the same."""
    if not len(samples):
        raise BadAudio(path, "no_samples", "a header without audio")
    low = samples.min()  # NaN if any sample is NaN
    high = samples.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadAudio(path, "not_finite", f"{np.count_nonzero(~np.isfinite(samples))} samples are NaN or infinite")
    if low == high:
        raise BadAudio(path, "silent", f"every sample is {low:g}")


def _check_ogg(file, path):
    """Check that every page of an Ogg file is present with its checksum (RFC 3533): libsndfile skips damaged pages silently."""
    if os.pread(file.fileno(), 4, 0) != b"OggS":  # cheaper than a memory map, which would dominate the time for a short clip
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        flags = 0
        next_numbers = {}  # serial number of a stream → number of its next page
        while start < len(data):
            page = _ogg_page(data, start, path)
            flags = page[5]
            serial = page[14:18]
            number = int.from_bytes(page[18:22], "little")
            if number != next_numbers.setdefault(serial, number):
                raise BadAudio(path, "damaged", f"Ogg page {next_numbers[serial]} is missing")
            next_numbers[serial] = number + 1
            start += len(page)
    if not flags & 4:
        raise BadAudio(path, "truncated", "the last Ogg page does not end the stream")


def _ogg_page(data, start, path):
    """Return the bytes of the page at `start`: a header of 27 bytes, a table of segment lengths, the segments."""
    if start + 27 > len(data):
        raise BadAudio(path, "truncated", "an Ogg page header is cut")
    if data[start : start + 4] != b"OggS":
        raise BadAudio(path, "damaged", f"no Ogg page at byte {start}")
    body = start + 27 + data[start + 26]
    end = body + sum(data[start + 27 : body])
    if end > len(data):
        raise BadAudio(path, "truncated", f"an Ogg page ends at byte {end}, the file at {len(data)}")
    page = data[start:end]
    without_checksum = (page[:22] + bytes(4) + page[26:]).translate(REVERSED)
    checksum = zlib.crc32(without_checksum, 0xFFFFFFFF) ^ 0xFFFFFFFF
    if int(f"{checksum:032b}"[::-1], 2) != int.from_bytes(page[22:26], "little"):
        raise BadAudio(path, "damaged", f"wrong checksum of the Ogg page at byte {start}")
    return page
