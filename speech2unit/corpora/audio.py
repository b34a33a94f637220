"""Read audio files as float32 mono waveforms, or raise `BadAudio` with one of these reason codes:

* `bad_name`: control characters, not UTF-8, or more than 255 bytes
* `missing`: no such file
* `unreadable`: no permission, or a folder, a link loop, a device
* `not_audio`: empty, HTML, or anything else that no decoder knows
* `no_decoder`: m4a, AAC, WebM, video and the like, which need PyAV (requirements-formats.txt)
* `truncated`: the header promises more than the file holds
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
import soundfile
import soxr

from speech2unit.corpora.containers import View, libav, survey
from speech2unit.corpora.containers.bad_audio import RULES, BadAudio, ffmpeg_line
from storage.errors import data_error

__all__ = ["RULES", "BadAudio"]

MIN_SAMPLES = 400  # 25 ms at 16 kHz, the first frame of HuBERT; with fewer samples its convolutions fail
IN_MEMORY = "waveform"  # what messages call audio that comes from no file
MAX_NAME_BYTES = 255  # longest file name on ext4, xfs and apfs
RATES_HZ = (4_000, 768_000)  # lowest and highest sample rate
BLOCK_FRAMES = 1 << 20  # frames to read at once
FULL_SCALE = 32767 / 32768  # largest sample of 16 bits
FULL_SCALES = {"PCM_S8": 127 / 128, "PCM_U8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}
CLIPPED_FRACTION = 0.001
# Floats may exceed full scale a little, where a mix or a filter made them louder; 12 dB is more than that.
LOUDEST = 4.0
SCALES = (1 << 7, 1 << 15, 1 << 23, 1 << 31)  # full scale of whole numbers of 8, 16, 24 and 32 bits
QUIETEST = 1e-4  # half of the range of the quietest audio: -80 dB of full scale, three steps of 16 bits
# Channels cancel each other if their mean keeps less than this fraction of the energy that it has if they are unrelated.
CANCELLED_FRACTION = 0.01
ABOUT_AS_LOUD = 0.5  # 3 dB: the first channel with this fraction of the energy of the loudest one is taken
# Decoders that compute in floats: their last bits depend on the CPU and the library, so that the hash is of what they decode.
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
SAMPLE_BYTES = {
    "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1,
}  # fmt: skip
MAX_HEADER_BYTES = 4096  # of formats whose structure is not surveyed
CLIPPED = "clipped (more than 0.1 % of the samples of a channel at full scale)"
CANCELLING = "one channel taken, because the channels cancel each other"


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
            expected=f"audio with the hash {row['audio_hash']}",
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
        float32 mono samples `[N]` and the `AudioInfo` of the segment.

    Raises:
        BadAudio: if the file breaks one of the `RULES`.
    """
    with _copy(path) if hasattr(path, "read") else _open(path) as file:
        path = place_of(path)
        contents = survey(file, path)
        return _read(file, contents, path, start_seconds, end_seconds)


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
    if not RATES_HZ[0] <= source_rate <= RATES_HZ[1]:
        raise _bad_rate(IN_MEMORY, source_rate)
    samples = samples.astype(np.float32)
    if samples.ndim == 1:
        samples = samples[:, None]
    levels = _Levels(IN_MEMORY)
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


def _read(file, contents, path, start_seconds, end_seconds, channel=None):
    """Return mono samples and `AudioInfo` of a segment; it is read block by block, so that many channels need no memory.

    Args:
        file: the open file.
        contents: its `Contents`.
        path: its name, for error messages.
        start_seconds, end_seconds: the segment; None: to the end.
        channel: the channel to take; None: the mean, or one channel where they cancel each other.
    """
    source = _Source(file, contents, path)
    levels = _Levels(path)
    blocks = []
    position = 0
    for block in source.blocks():
        first = round(start_seconds * source.sample_rate) - position
        last = len(block) if end_seconds is None else round(end_seconds * source.sample_rate) - position
        position += len(block)
        if first > 0 or last < len(block):
            block = block[max(first, 0) : max(last, 0)]
        if len(block):
            levels.full_scale = source.full_scale
            mono = levels.add(block)
            blocks.append(mono if channel is None else block[:, channel].copy())
    samples = blocks[0] if len(blocks) == 1 else np.concatenate([*blocks, np.empty(0, np.float32)])
    blocks.clear()  # saves 230 MB for an hour
    if channel is None:
        channel = levels.check()
        if channel is not None:
            return _read(file, contents, path, start_seconds, end_seconds, channel)
    check_samples(samples, path)
    remarks = [contents.remark] if contents.remark else []
    remarks += [CLIPPED] if levels.is_clipped() else []
    remarks += [CANCELLING] if channel is not None else []
    if source.digest is None:
        digest = hashlib.blake2b(samples, digest_size=16)
    else:
        start = round(start_seconds * source.sample_rate)
        digest = source.digest
        digest.update(b"%d to %d" % (start, start + len(samples)))
    return samples, AudioInfo(source.sample_rate, source.channels, tuple(remarks), digest.hexdigest())


class _Source:
    """The audio of a file, whichever library decodes it.

    Attributes:
        sample_rate, channels, full_scale: known as soon as the first block is read.
        digest: hash of compressed audio after the last block; None if decoding gives the same samples everywhere.
    """

    def __init__(self, file, contents, path):
        self.file = file
        self.contents = contents
        self.path = path
        self.sample_rate = None
        self.channels = None
        self.full_scale = FULL_SCALE
        self.digest = None

    def blocks(self):
        """Yield blocks `[N, channels]` of all parts of the file. Raises `BadAudio` where they are not all that is promised."""
        if self.contents.demuxer:
            yield from self._blocks_of_libav(self.contents.demuxer)
            return
        for part in self.contents.parts:
            try:
                sound = self._open(part)
            except soundfile.LibsndfileError as error:
                demuxer = libav.sniff(os.pread(self.file.fileno(), libav.HEAD_BYTES, 0), is_refused=True)
                if demuxer is None or self.sample_rate is not None:
                    raise BadAudio(self.path, "not_audio", f"libsndfile: {error.error_string}") from error
                yield from self._blocks_of_libav(demuxer)
                return
            with sound:
                if sound.format == "MP3" and not self.contents.is_known:
                    raise BadAudio(self.path, "not_audio", "no MPEG frames that follow each other")
                self._take_format(sound.samplerate, sound.channels)
                self.full_scale = FULL_SCALES.get(sound.subtype, FULL_SCALE)
                yield from self._blocks_of(sound, part)
                is_lossy = sound.subtype in LOSSY
        if is_lossy:
            self.digest = self._hash_payload()

    def _open(self, part):
        # With a descriptor libsndfile recognises the format by the content, not by the extension.
        if part.pieces is None:
            os.lseek(self.file.fileno(), 0, os.SEEK_SET)
            return soundfile.SoundFile(self.file.fileno(), closefd=False)
        return soundfile.SoundFile(View(self.file.fileno(), part.pieces))

    def _take_format(self, sample_rate, channels):
        """Note the sample rate and the number of channels, which all parts must share."""
        if self.sample_rate is None:
            if not RATES_HZ[0] <= sample_rate <= RATES_HZ[1]:
                raise _bad_rate(self.path, sample_rate)
            self.sample_rate = sample_rate
            self.channels = channels
        elif (self.sample_rate, self.channels) != (sample_rate, channels):
            before = f"{self.sample_rate} Hz and {self.channels} channels"
            detail = f"after {before} it goes on with {sample_rate} Hz and {channels} channels"
            raise BadAudio(self.path, "more_audio", detail)

    def _blocks_of(self, sound, part):
        """Yield the blocks of a part that libsndfile decodes."""
        num_read = 0
        try:
            # soundfile seeks after each read, which disturbs an MP3 decoder, so an MP3 file is read at once.
            frames = -1 if sound.format == "MP3" else BLOCK_FRAMES
            while len(block := sound.read(frames, dtype="float32", always_2d=True)):
                num_read += len(block)
                yield block
        except (soundfile.LibsndfileError, ValueError) as error:
            raise BadAudio(self.path, "damaged", f"the decoder stopped: {error}") from error
        if num_read < sound.frames:
            raise BadAudio(self.path, "truncated", f"{sound.frames} frames promised, {num_read} read")
        promised = part.num_frames or 0
        if part.num_bytes is not None and sound.subtype in SAMPLE_BYTES:
            promised = part.num_bytes // (SAMPLE_BYTES[sound.subtype] * sound.channels)
            if num_read > promised:
                raise BadAudio(self.path, "damaged", f"libsndfile reads {num_read} frames where {promised} are announced")
        if num_read < promised:
            raise BadAudio(self.path, "more_audio", f"libsndfile stops after {num_read} of {promised} frames")
        if not self.contents.is_known and sound.subtype in SAMPLE_BYTES:
            size = os.fstat(self.file.fileno()).st_size
            extra = size - num_read * SAMPLE_BYTES[sound.subtype] * sound.channels
            if extra > MAX_HEADER_BYTES:
                raise BadAudio(
                    self.path, "more_audio", f"its header announces {num_read} frames, and {extra} more bytes are there"
                )

    def _blocks_of_libav(self, demuxer):
        """Yield the blocks of a file that libsndfile cannot read."""
        with libav.Sound(self.file, self.path, demuxer) as sound:
            self._take_format(sound.samplerate, sound.channels)
            for block in sound.blocks():
                if self.sample_rate != sound.samplerate:
                    self.sample_rate = None
                    self._take_format(sound.samplerate, sound.channels)
                self.channels = sound.channels
                yield block
            self.digest = sound.digest

    def _hash_payload(self):
        """Return the hash of the compressed audio, without tags."""
        digest = hashlib.blake2b(digest_size=16)
        spans = self.contents.payload or ((0, os.fstat(self.file.fileno()).st_size),)
        for start, end in spans:
            for position in range(start, end, 1 << 20):
                digest.update(os.pread(self.file.fileno(), min(1 << 20, end - position), position))
        return digest


class _Levels:
    """Levels of the channels of audio, block by block."""

    def __init__(self, path):
        self.path = path
        self.full_scale = FULL_SCALE
        self.num_frames = 0
        self.peak = 0.0
        self.is_whole = True  # whether samples above full scale are whole numbers
        self.at_full_scale = 0  # samples, of each channel
        self.sums = 0.0  # of each channel
        self.products = None  # of each pair of channels; None for mono

    def add(self, block):
        """Measure a block `[N, channels]`, and return its mean over the channels `[N]`."""
        self.num_frames += len(block)
        if not len(block):
            return block[:, 0]
        samples = block[:, 0] if block.shape[1] == 1 else block
        peak = max(-samples.min(), samples.max())  # NaN if any sample is NaN
        self.peak = max(self.peak, float(peak))
        if peak >= 2 and np.isfinite(peak):
            self.is_whole = self.is_whole and bool((samples == np.rint(samples)).all())
        if peak >= self.full_scale:
            self.at_full_scale = self.at_full_scale + np.count_nonzero(np.abs(block) >= self.full_scale, axis=0)
        if block.shape[1] == 1:
            return samples
        if np.isfinite(peak) and peak <= LOUDEST:
            self.products = 0.0 if self.products is None else self.products
            for start in range(0, len(block), 1 << 16):
                wide = block[start : start + (1 << 16)].astype(np.float64)
                self.sums = self.sums + wide.sum(axis=0)
                self.products = self.products + wide.T @ wide
        with np.errstate(invalid="ignore"):
            return block.mean(axis=1)

    def is_clipped(self):
        """Return whether more than `CLIPPED_FRACTION` of the samples of a channel are at full scale."""
        return bool(np.max(self.at_full_scale) > CLIPPED_FRACTION * self.num_frames)

    def check(self):
        """Return the channel to take instead of the mean where channels cancel each other, else None. Raises `BadAudio`: `too_loud`."""
        if np.isfinite(self.peak) and (self.peak > LOUDEST or (self.peak >= 2 and self.is_whole)):
            scale = next((scale for scale in SCALES if self.peak <= scale), round(self.peak))
            line = f"or: {ffmpeg_line(self.path, after=f'-af volume=1/{scale}')}"
            if self.path == IN_MEMORY:
                line = "before you pass them on"
            raise BadAudio(
                self.path,
                "too_loud",
                f"its peak is {self.peak:g}, where 1 is full scale",
                f"divide the samples by {scale}, {line}",
            )
        if self.products is None:
            return None
        covariances = self.products - np.outer(self.sums, self.sums) / self.num_frames
        energies = np.diag(covariances)
        num_channels = len(energies)
        unrelated = energies.sum() / num_channels**2  # energy of the mean of channels that have nothing in common
        if not covariances.sum() / num_channels**2 < CANCELLED_FRACTION * unrelated:
            return None
        if energies.max() <= self.num_frames * 1e-12:
            return None  # silence
        return int(np.argmax(energies >= ABOUT_AS_LOUD * energies.max()))


def check_samples(samples, path):
    """Refuse samples `[N]` that are empty, not finite, all the same or silent. Raises `BadAudio` with `path` as the place."""
    if not len(samples):
        raise BadAudio(path, "no_samples", "a header without audio")
    low = samples.min()  # NaN if any sample is NaN
    high = samples.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadAudio(path, "not_finite", f"{np.count_nonzero(~np.isfinite(samples))} samples are NaN or infinite")
    if low == high:
        raise BadAudio(path, "silent", f"every sample is {low:g}")
    level = (float(high) - float(low)) / 2
    if level <= QUIETEST:
        decibels = 20 * np.log10(level)
        raise BadAudio(
            path, "silent", f"its peak is {decibels:.0f} dB of full scale, quieter than {20 * np.log10(QUIETEST):.0f} dB"
        )
