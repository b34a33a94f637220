"""Decode the audio of a file block by block, with libsndfile or FFmpeg, and check that this is all that the file holds."""

import hashlib
import os

import soundfile

from speech2unit.corpora.containers import View, libav
from speech2unit.corpora.containers.bad_audio import BadAudio, ffmpeg_line, not_audio, soundfile_line
from speech2unit.corpora.levels import FULL_SCALE

RATES_HZ = (4_000, 768_000)  # lowest and highest sample rate
BLOCK_FRAMES = 1 << 20  # frames to read at once
FULL_SCALES = {"PCM_S8": 127 / 128, "PCM_U8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}
# Decoders that compute in floats: their last bits depend on the CPU and the library, so that the hash is of what they decode.
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
SAMPLE_BYTES = {
    "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1,
}  # fmt: skip
MAX_HEADER_BYTES = 4096  # of formats whose structure is not surveyed
# Formats whose structure is not surveyed, and of which libsndfile reads a file that was cut without an error.
UNCHECKED = ("AVR", "IRCAM", "MAT4", "MAT5", "MPC2K", "PAF", "PVF", "VOC", "WVE", "XI")
READ_BY_FFMPEG = ("AVR", "IRCAM", "PAF", "PVF", "VOC", "WVE")


def check_rate(path, sample_rate):
    """Raise `BadAudio` (`bad_rate`) if no recording has this sample rate."""
    if not RATES_HZ[0] <= sample_rate <= RATES_HZ[1]:
        raise BadAudio(path, "bad_rate", f"{sample_rate} Hz, not between {RATES_HZ[0]} and {RATES_HZ[1]}")


class Source:
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
                head = os.pread(self.file.fileno(), libav.HEAD_BYTES, 0)
                demuxer = libav.sniff(head, is_refused=True)
                if demuxer is None or self.sample_rate is not None:
                    raise not_audio(self.path, head, f"libsndfile: {error.error_string}") from error
                yield from self._blocks_of_libav(demuxer)
                return
            with sound:
                self._check_format(sound)
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

    def _check_format(self, sound):
        """Raise `BadAudio` for formats in which an end that is missing would not be noticed."""
        if self.contents.is_known:
            return
        if sound.format == "MP3":
            raise BadAudio(self.path, "not_audio", "no MPEG frames that follow each other")
        if sound.format in UNCHECKED:
            line = ffmpeg_line(self.path) if sound.format in READ_BY_FFMPEG else soundfile_line(self.path)
            raise BadAudio(self.path, "unchecked", f"a file of the format {sound.format}", f"if it is whole, convert it: {line}")

    def _take_format(self, sample_rate, channels):
        """Note the sample rate and the number of channels, which all parts must share."""
        if self.sample_rate is None:
            check_rate(self.path, sample_rate)
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
