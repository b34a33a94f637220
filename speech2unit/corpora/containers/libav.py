"""Formats that libsndfile cannot read, through PyAV, which brings FFmpeg's libraries: m4a, AAC, WebM, AMR, the sound of videos.

PyAV is optional (requirements-formats.txt) and imported only for such a file. FFmpeg's libraries read damaged files without an
error as well, so the structure of the file is followed to its end here, and what was decoded is compared with what is announced.

**Source:** ISO/IEC 14496-12 (MP4), RFC 8794 and 9559 (Matroska and WebM), ISO/IEC 13818-7 (ADTS), RFC 4867 (AMR).
"""

import hashlib
import os

import numpy as np

from speech2unit.corpora.containers.bad_audio import BadAudio, ffmpeg_line, quoted
from speech2unit.corpora.containers.contents import tag_length

TOLERANCE_SECONDS = 0.1  # how much less than its announced duration a file may hold: codecs add and drop some frames
UNRELIABLE = ("aac", "amr")  # durations that FFmpeg estimates from the bit rate
# Nobody can tell whether such a file is whole.
UNCHECKED = ("asf", "flv", "mpegts", "mpeg", "ape", "tta")
AMR_BYTES = {  # length of a frame by its type, narrow and wide band
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, None, None, None, None, None, 1, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, None, None, None, None, 1, 1),
}
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = 0x18538067
CLUSTER = 0x1F43B675
CONTAINING = (SEGMENT, CLUSTER)  # elements whose length may be open
QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot")
NAMES = {  # demuxer → what messages call its format
    "mov": "MP4",
    "matroska": "WebM or Matroska",
    "aac": "AAC",
    "amr": "AMR",
    "avi": "AVI",
    "asf": "WMA or WMV",
    "flv": "Flash video",
    "mpegts": "an MPEG transport stream",
    "mpeg": "MPEG video",
    "wv": "WavPack",
    "ape": "Monkey's Audio",
    "tta": "True Audio",
    "wav": "this kind of WAV",
    "aiff": "this kind of AIFF",
    "caf": "this kind of CAF",
    "ogg": "this kind of Ogg",
}
MAGIC = (  # position, bytes, demuxer
    (4, QUICKTIME, "mov"),
    (0, (EBML,), "matroska"),
    (0, tuple(AMR_BYTES), "amr"),
    (8, (b"AVI ",), "avi"),
    (0, (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",), "asf"),
    (0, (b"FLV\x01",), "flv"),
    (0, (b"\x00\x00\x01\xba",), "mpeg"),
    (0, (b"wvpk",), "wv"),
    (0, (b"MAC ",), "ape"),
    (0, (b"TTA1",), "tta"),
)
REFUSED = (  # libsndfile reads these too, but not every way in which they may be compressed
    (8, (b"WAVE",), "wav"),
    (0, (b"FORM",), "aiff"),
    (0, (b"caff",), "caf"),
    (0, (b"OggS",), "ogg"),
)
HEAD_BYTES = 4096  # enough for `sniff`


def sniff(head, is_refused=False):
    """Return the demuxer for a file, from its first bytes; None if there is none.

    Args:
        head: `HEAD_BYTES` of the file.
        is_refused: whether libsndfile refuses the file, although it knows the format.
    """
    for position, magics, demuxer in MAGIC + REFUSED if is_refused else MAGIC:
        if head[position : position + 16].startswith(magics):
            return demuxer
    if _adts_length(head, tag_length(head, 0, len(head))):
        return "aac"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "mpegts"
    return None


class Sound:
    """The sound of an open file.

    Attributes:
        samplerate: Hz.
        channels: number of channels.
        digest: hash of the compressed audio that `blocks` has read so far.
    """

    def __init__(self, file, path, demuxer):
        self.path = path
        self.demuxer = demuxer
        name = NAMES[demuxer]
        if demuxer in UNCHECKED:
            raise BadAudio(path, "no_decoder", f"{name} is not read here", f"convert the file: {ffmpeg_line(path)}")
        try:
            import av
        except ImportError:
            raise BadAudio(path, "no_decoder", f"{name} needs PyAV, which is not installed") from None
        self.av = av
        _check_structure(file, path, demuxer)
        self.file = os.fdopen(os.dup(file.fileno()), "rb")
        self.file.seek(0)
        self.digest = hashlib.blake2b(digest_size=16)
        try:
            # The demuxer is given, so that no list of other files, which FFmpeg knows too, is followed.
            self.container = av.open(self.file, format=demuxer)
        except av.FFmpegError as error:
            self.file.close()
            raise BadAudio(path, "not_audio", f"PyAV cannot open {name}: {error.strerror}") from error
        streams = self.container.streams.audio
        if len(streams) != 1 or not streams[0].codec_context.sample_rate:
            self.close()
            if len(streams) > 1:
                line = ffmpeg_line(path, after="-map 0:a:0")
                raise BadAudio(path, "more_audio", f"{len(streams)} streams of audio at the same time", f"take one: {line}")
            raise BadAudio(path, "not_audio", f"{name} without sound")
        self.stream = streams[0]
        self.samplerate = self.stream.codec_context.sample_rate
        self.channels = self.stream.codec_context.layout.nb_channels

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.container.close()
        self.file.close()

    def blocks(self):
        """Yield float32 blocks `[N, channels]`. Raises `BadAudio` where they are damaged, or less than the file announces."""
        resampler = None
        num_samples = 0
        num_packet_bytes = 0
        try:
            for packet in self.container.demux(self.stream):
                if packet.is_corrupt:
                    raise BadAudio(self.path, "damaged", f"a damaged packet after {num_samples / self.samplerate:.2f} s")
                self.digest.update(bytes(packet))
                num_packet_bytes += packet.size
                for frame in packet.decode():
                    layout = (frame.sample_rate, frame.layout.nb_channels)
                    if resampler is None:
                        self.samplerate, self.channels = layout
                        resampler = self.av.AudioResampler(format="fltp", layout=frame.layout.name, rate=frame.sample_rate)
                    if layout != (self.samplerate, self.channels):
                        raise BadAudio(self.path, "more_audio", "it goes on with another sample rate or number of channels")
                    for converted in resampler.resample(frame):
                        block = converted.to_ndarray()
                        num_samples += block.shape[1]
                        yield np.ascontiguousarray(block.T)
        except self.av.FFmpegError as error:
            raise BadAudio(
                self.path, "damaged", f"the decoder stopped after {num_samples / self.samplerate:.2f} s: {error.strerror}"
            ) from error
        self._check_length(num_samples / self.samplerate, num_packet_bytes)

    def _check_length(self, seconds, num_packet_bytes):
        """Refuse a file that holds less than it announces, or audio that nothing points to."""
        announced = self._announced_seconds()
        if announced is not None and seconds < announced - TOLERANCE_SECONDS:
            raise BadAudio(self.path, "truncated", f"{announced:.2f} s promised, {seconds:.2f} s found")
        if self.demuxer == "mov" and len(self.container.streams) == 1:
            extra = _mdat_bytes(self.file) - num_packet_bytes
            if extra > max(4096, num_packet_bytes // 10):
                raise BadAudio(self.path, "more_audio", f"{extra} bytes of media belong to nothing that its index lists")

    def _announced_seconds(self):
        if self.demuxer in UNRELIABLE:
            return None
        if self.stream.duration:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration and len(self.container.streams) == 1:
            return self.container.duration / self.av.time_base
        return None


def _check_structure(file, path, demuxer):
    """Follow the structure of a file to its end. Raises `BadAudio`: `truncated`, `damaged` or `more_audio`."""
    size = os.fstat(file.fileno()).st_size
    if demuxer == "mov":
        names = []
        for name, body, _ in _boxes(file, path, size):
            if name == b"ftyp" and b"moov" in names:
                # FFmpeg would read the first file only.
                cut = f"head -c {body - 8} {quoted(path)} > first.m4a; tail -c +{body - 7} {quoted(path)} > second.m4a"
                raise BadAudio(path, "more_audio", "several MP4 files were joined into one", f"take it apart: {cut}")
            names.append(name)
        if b"moov" not in names:
            raise BadAudio(path, "truncated", "an MP4 file without its index: the recorder was stopped before it wrote it")
    elif demuxer == "matroska":
        _check_elements(file, path, size)
    elif demuxer in ("aac", "amr"):
        _check_frames(file, path, size, demuxer)
    elif demuxer == "avi":
        promised = int.from_bytes(os.pread(file.fileno(), 4, 4), "little") + 8
        if promised > size and promised < 0xFFFF_0000:
            raise BadAudio(path, "truncated", f"{promised} bytes promised, {size} found")


def _boxes(file, path, size):
    """Yield (name, start of the body, end) of the outer boxes of an MP4 file."""
    position = 0
    while position < size:
        header = os.pread(file.fileno(), 16, position)
        length = int.from_bytes(header[:4], "big")
        body = position + 8
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
            body += 8
        if length == 0:
            length = size - position
        name = header[4:8]
        if length < body - position or not name.isalnum() or len(header) < 8:
            if tag := tag_length(os.pread(file.fileno(), 4096, position), 0, size - position):
                position += tag
                continue
            if not header.strip(b"\0"):
                return
            raise BadAudio(path, "damaged", f"no MP4 box at byte {position}")
        if position + length > size:
            raise BadAudio(path, "truncated", f"the box {name.decode()} ends at byte {position + length}, the file at {size}")
        yield name, body, position + length
        position += length


def _mdat_bytes(file):
    """Return how many bytes of media an MP4 file holds."""
    return sum(end - body for name, body, end in _boxes(file, "", os.fstat(file.fileno()).st_size) if name == b"mdat")


def _check_elements(file, path, size):
    """Walk through the elements of a Matroska file, into those whose length may be open."""
    position = 0
    num_documents = 0
    while position < size:
        header = os.pread(file.fileno(), 12, position)
        if header[:4] == EBML:
            num_documents += 1
        name_bytes = 9 - header[0].bit_length() if header[0] else 9
        if name_bytes > 4 or len(header) <= name_bytes:
            if position and not header.strip(b"\0"):
                return
            raise BadAudio(path, "damaged" if len(header) > name_bytes else "truncated", f"no element at byte {position}")
        name = int.from_bytes(header[:name_bytes], "big")
        first = header[name_bytes]
        length_bytes = 9 - first.bit_length() if first else 9
        value = int.from_bytes(header[name_bytes : name_bytes + length_bytes], "big") & (1 << 7 * length_bytes) - 1
        body = position + name_bytes + length_bytes
        if length_bytes > 8 or body > size:
            raise BadAudio(path, "truncated" if length_bytes <= 8 else "damaged", f"an element is cut at byte {position}")
        is_open = value == (1 << 7 * length_bytes) - 1
        if not is_open and body + value > size:
            raise BadAudio(path, "truncated", f"an element ends at byte {body + value}, the file at {size}")
        position = body if is_open or name in CONTAINING else body + value
    if num_documents > 1:
        raise BadAudio(path, "more_audio", f"{num_documents} Matroska files were joined into one")


def _adts_length(data, position):
    """Return the length of the ADTS frame at `position`; 0 if there is none."""
    header = data[position : position + 7]
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0


def _check_frames(file, path, size, demuxer):
    """Walk through the frames of an AAC or AMR file."""
    data = os.pread(file.fileno(), size, 0)
    position = tag_length(data, 0, size)
    lengths = None  # AMR
    for magic, table in AMR_BYTES.items():
        if data.startswith(magic):
            position = len(magic)
            lengths = table
    while position < size:
        length = lengths[data[position] >> 3 & 15] if lengths else _adts_length(data, position)
        length = length or tag_length(data, position, size)
        if not length:
            if not data[position:].strip(b"\0"):
                return
            raise BadAudio(path, "damaged", f"no frame at byte {position}")
        if position + length > size:
            raise BadAudio(path, "truncated", f"the last frame has {size - position} of {length} bytes")
        position += length
