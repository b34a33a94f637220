"""Read audio files as float32 mono waveforms, or raise `BadAudio` with one of these reason codes:

* `bad_name`: control characters, not UTF-8, or more than 255 bytes
* `missing`: no such file
* `unreadable`: no permission, or a folder, a link loop, a device
* `not_audio`: empty, HTML, or anything else that no decoder knows
* `no_decoder`: m4a, AAC, WebM, video and the like, which need PyAV (requirements-formats.txt)
* `truncated`: the header promises more than the file holds
* `unchecked`: a rare format, such as VOC, of which nobody can tell whether a file is whole
* `more_audio`: the file holds more than the header announces, and it is not certain that this is audio, or how it goes on
* `damaged`: a checksum or the decoder fails, or bytes are lost in the middle
* `bad_rate`: a sample rate that no recording has
* `no_samples`: a header without audio
* `too_short`: fewer than 400 samples at the encoder's rate (the receptive field of HuBERT)
* `not_finite`: NaN or infinity
* `too_loud`: floats far above 1, such as whole numbers of 16 bits that were never divided by 32768
* `silent`: all samples are the same, or none is louder than -80 dB of full scale: at most ±3 of 16 bits, which is rounding noise
* `too_long`: longer than a trained task can read at once; only when recordings are labelled
* `not_units`: something else than units of the codebook; only when units are labelled

Any sample rate and sample format, any number of channels and any file name extension are converted. Channels are averaged; where
they cancel each other, as those of a wrongly wired microphone do, the first of the loudest channels is taken instead. A file
is read to its end, also where its header announces less or nothing, and streams that were joined are read one after another.
Clipped audio is accepted. `AudioInfo.remarks` tells of all this. PCM in WAV and frames in MP3 carry no checksum: nobody can
tell flipped bits in them from noise.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass

import numpy as np
import soxr

from speech2unit.corpora.audio_source import Source, check_rate
from speech2unit.corpora.containers import survey
from speech2unit.corpora.containers.bad_audio import RULES, BadAudio
from speech2unit.corpora.levels import CANCELLING, CLIPPED, IN_MEMORY, Levels, check_samples
from storage.errors import data_error

__all__ = ["RULES", "BadAudio"]

MIN_SAMPLES = 400  # 25 ms at 16 kHz, the first frame of HuBERT; with fewer samples its convolutions fail
GET_AGAIN = "get the file again, or remove it"
MAX_NAME_BYTES = 255  # longest file name on ext4, xfs and apfs
MAX_SECONDS_TOGETHER = 1800  # of the segments that are decoded in one pass through their file


@dataclass(frozen=True)
class AudioInfo:
    """Properties of an audio file, or of a segment of it."""

    sample_rate: int  # Hz
    channels: int
    remarks: tuple  # what is odd: `CLIPPED`, `CANCELLING`, or a remark on how the file is made
    audio_hash: str  # of its mono samples; of the compressed audio where samples depend on the decoder

    @property
    def clipped(self):
        """Whether more than 0.1 % of the samples of a channel are at full scale."""
        return CLIPPED in self.remarks


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


def read_utterance(path, row, *, sample_rate, decode_segment=None):
    """Read the utterance of a manifest row at the row's speed.

    Args:
        path: path of its audio file.
        row: the manifest row.
        sample_rate: rate of the waveform in Hz.
        decode_segment: a `SegmentDecoder` that has the row; None: `decode`.

    Returns:
        float32 mono waveform `[N]`.

    Raises:
        ValueError: if the file breaks a rule (`BadAudio`), or has other samples than when the manifest was made.
    """
    samples, info = (decode_segment or decode)(path, **segment_times(row))
    waveform = convert(samples, info.sample_rate, sample_rate=sample_rate, speed=row["speed"], path=path)
    if info.audio_hash != row["audio_hash"]:
        raise data_error(
            path,
            "a recording must be the one that its manifest lists",
            expected=f"audio with the hash {row['audio_hash']}",
            got=info.audio_hash,
            remedy="restore the recording, or read the corpus again: add --forcerun make_manifest",
        )
    return waveform


def segment_times(row):
    """Return start and end of a manifest row's utterance in its file, as keyword arguments of `read_audio`."""
    return dict(start_seconds=row["start_seconds"], end_seconds=row["end_seconds"])


def segments_together(rows):
    """Divide rows into those of whole files, and groups of segments that one `SegmentDecoder` can decode.

    Args:
        rows: rows with `path`, `start_seconds` and `end_seconds`.

    Returns:
        The rows of whole files, and a list of lists of rows. Each list has segments of one file, `MAX_SECONDS_TOGETHER` or less
        together. Rows keep their order, in both.
    """
    whole_files = []
    segments_of = {}
    for row in rows:
        if row["end_seconds"] is None:
            whole_files.append(row)
        else:
            segments_of.setdefault(row["path"], []).append(row)
    groups = []
    for segments in segments_of.values():
        seconds = MAX_SECONDS_TOGETHER
        for row in segments:
            seconds += row["end_seconds"] - row["start_seconds"]
            if seconds > MAX_SECONDS_TOGETHER:
                groups.append([])
                seconds = row["end_seconds"] - row["start_seconds"]
            groups[-1].append(row)
    return whole_files, groups


class SegmentDecoder:
    """Decodes segments of one file in one pass through it, and gives them out as `decode` does."""

    def __init__(self, rows):
        """`rows`: rows with `start_seconds` and `end_seconds`; see `segments_together`."""
        self.spans = list(dict.fromkeys((row["start_seconds"], row["end_seconds"]) for row in rows))
        self.results = {}  # path → span → result of `_decode`; a path can be tried that does not exist

    def __call__(self, path, start_seconds, end_seconds):
        """Return the samples and the `AudioInfo` of one of the segments; arguments and errors as of `decode`."""
        if path not in self.results:
            self.results[path] = dict(zip(self.spans, _decode(path, self.spans)))
        return _checked(self.results[path][start_seconds, end_seconds])


def decode(path, start_seconds=0.0, end_seconds=None):
    """Read a file, or a segment of it, at its own sample rate.

    Args:
        path: the file, or a binary file object. All of it is checked for damage.
        start_seconds: start of the segment.
        end_seconds: end of the segment; None: the end of the file.

    Returns:
        float32 mono samples `[N]` and the `AudioInfo` of the segment.

    Raises:
        BadAudio: if the file breaks one of the `RULES`.
    """
    (result,) = _decode(path, [(start_seconds, end_seconds)])
    return _checked(result)


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
    if not isinstance(audio, (tuple, str, os.PathLike)) and not hasattr(audio, "read"):
        raise data_error(
            IN_MEMORY,
            "audio is a path, a binary file object, or a tuple of samples and their rate",
            expected="such as 'a.wav' or (samples, 16000)",
            got=type(audio).__name__,
            remedy="for an array, pass (array, sample_rate)",
        )
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
    if samples.ndim == 2 and samples.shape[1] > max(1, len(samples)):
        raise data_error(
            IN_MEMORY,
            "samples have one row per point of time",
            expected="a float array [N] or [N, channels]",
            got=f"{list(samples.shape)}, more channels than samples",
            remedy="pass samples.T",
        )
    check_rate(IN_MEMORY, source_rate)
    samples = samples.astype(np.float32)
    if samples.ndim == 1:
        samples = samples[:, None]
    levels = Levels(IN_MEMORY)
    mono = levels.add(samples)
    channel = levels.check()
    samples = mono if channel is None else samples[:, channel]
    check_samples(samples, IN_MEMORY)
    return convert(samples, source_rate, sample_rate=sample_rate, speed=1.0, path=IN_MEMORY)


def place_of(audio):
    """Return what messages call audio: its path, the name of its file object, or `waveform`."""
    if isinstance(audio, tuple):
        return IN_MEMORY
    return getattr(audio, "name", "standard input") if hasattr(audio, "read") else audio


def _copy(file):
    """Return a temporary copy of a binary file object, which has a descriptor. Raises `BadAudio` if it is empty."""
    copy = tempfile.TemporaryFile()
    shutil.copyfileobj(file, copy)
    if not copy.tell():
        copy.close()
        raise BadAudio(place_of(file), "not_audio", "an empty file", GET_AGAIN)
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
        raise BadAudio(path, "not_audio", "an empty file", GET_AGAIN)
    return file


def _decode(path, spans):
    """Return samples and `AudioInfo` of each segment of a file, or the `BadAudio` about it; `spans`: pairs of start and end, see `decode`."""
    try:
        with _copy(path) if hasattr(path, "read") else _open(path) as file:
            path = place_of(path)
            return _read(file, survey(file, path), path, [_Segment(path, *span) for span in spans])
    except BadAudio as error:
        return [error] * len(spans)


def _checked(result):
    """Return one of the results of `_decode`, or raise it if it is an error."""
    if isinstance(result, BadAudio):
        raise result
    return result


def _read(file, contents, path, segments):
    """Return the results of `_decode`; the file is read block by block, so that many channels need no memory.

    Args:
        file: the open file.
        contents: its `Contents`.
        path: its name, for error messages.
        segments: a list of `_Segment`.
    """
    source = Source(file, contents, path)
    position = 0
    for block in source.blocks():
        for segment in segments:
            segment.add(block, position, source)
        position += len(block)
    results = {}
    cancelling = {}  # number of a segment → the segment of one channel, which is read in its place
    for number, segment in enumerate(segments):
        try:
            channel = segment.channel_to_take()
            if channel is None:
                results[number] = segment.result(source, contents.remark)
            else:
                cancelling[number] = _Segment(path, segment.start_seconds, segment.end_seconds, channel)
        except BadAudio as error:
            results[number] = error
    if cancelling:
        results |= zip(cancelling, _read(file, contents, path, list(cancelling.values())))
    return [results[number] for number in range(len(segments))]


class _Segment:
    """A segment of a file, of which blocks are collected."""

    def __init__(self, path, start_seconds, end_seconds, channel=None):
        """`channel`: the channel to take; None: the mean, or one channel where they cancel each other. The rest: see `decode`."""
        self.path = path
        self.start_seconds = start_seconds
        self.end_seconds = end_seconds
        self.channel = channel
        self.levels = Levels(path)
        self.blocks = []

    def add(self, block, position, source):
        """Add the part of a block `[N, channels]` that belongs to the segment; `position`: its first frame in the file."""
        first = round(self.start_seconds * source.sample_rate) - position
        last = len(block) if self.end_seconds is None else round(self.end_seconds * source.sample_rate) - position
        if first > 0 or last < len(block):
            block = block[max(first, 0) : max(last, 0)].copy()  # a view would keep the whole block in memory
        if len(block):
            self.levels.full_scale = source.full_scale
            mono = self.levels.add(block)
            self.blocks.append(mono if self.channel is None else block[:, self.channel].copy())

    def channel_to_take(self):
        """Return the channel that must be read instead of the mean, as channels cancel each other, else None. Raises `BadAudio`."""
        return self.levels.check() if self.channel is None else None

    def result(self, source, remark):
        """Return the samples `[N]` and the `AudioInfo`, after the last block; `remark` is that of the `Contents`."""
        samples = self.blocks[0] if len(self.blocks) == 1 else np.concatenate([*self.blocks, np.empty(0, np.float32)])
        self.blocks.clear()  # saves 230 MB for an hour
        check_samples(samples, self.path)
        remarks = [remark] if remark else []
        remarks += [CLIPPED] if self.levels.is_clipped() else []
        remarks += [CANCELLING] if self.channel is not None else []
        if source.digest is None:
            digest = hashlib.blake2b(samples, digest_size=16)
        else:
            start = round(self.start_seconds * source.sample_rate)
            digest = source.digest.copy()
            digest.update(b"%d to %d" % (start, start + len(samples)))
        return samples, AudioInfo(source.sample_rate, source.channels, tuple(remarks), digest.hexdigest())
