"""Files made of chunks: WAV with RIFX, RF64 and W64, AIFF, 8SVX and CAF; also AU and NIST, a header and samples.

A chunk has a name, a length and a body. The walk goes from chunk to chunk to the end of the file, so that it knows what follows the
audio. Recorders that write into a pipe, or that crash, leave the length open; such audio goes on to the end of the file.

**Source:** Multimedia Programming Interface 1.0 (RIFF); EBU Tech 3306 (RF64); Apple's specifications of AIFF-C and CAF; Sony's of W64.
"""

import os
import struct
from typing import NamedTuple

from speech2unit.corpora.containers.bad_audio import BadAudio, ffmpeg_line
from speech2unit.corpora.containers.contents import JOINED, NO_LENGTH, Contents, Part, tag_length

HEAD_BYTES = 256  # read at once; the chunks before the audio fit in there as a rule
IGNORED_SECONDS = 0.01  # bytes after the audio that would last no longer than this do not matter
MPEG_TAGS = (0x50, 0x55)  # formats of WAV: MPEG layers I and II, layer III
EXTENSIBLE = 0xFFFE
# Chunks without audio that may be cut at the end of a file.
METADATA = {
    b"LIST", b"bext", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"inst", b"fact", b"PEAK", b"iXML", b"axml", b"JUNK", b"junk", b"FLLR",
    b"PAD ", b"afsp", b"acid", b"strc", b"umid", b"_PMX", b"DISP", b"COMT", b"MARK", b"INST", b"APPL", b"NAME", b"AUTH", b"ANNO",
    b"(c) ", b"levl", b"chna", b"info", b"free", b"uuid", b"strg", b"mark", b"list",
}  # fmt: skip


class Family(NamedTuple):
    """How a family of formats writes its chunks."""

    first: int  # position of the first chunk
    name_bytes: int
    length_format: str
    counts_header: bool  # whether the length includes name and length
    alignment: int
    audio: tuple  # names of chunks with audio
    order: str


RIFF = Family(12, 4, "<I", False, 2, (b"data",), "<")
RIFX = RIFF._replace(length_format=">I", order=">")
AIFF = RIFX._replace(audio=(b"SSND", b"BODY"))
W64 = Family(40, 16, "<Q", True, 8, (b"data",), "<")
CAF = Family(8, 4, ">q", False, 1, (b"data",), ">")
W64_MAGIC = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"


def survey(descriptor, head, size, path):
    """Return the `Contents` of a file, or None if it is no file of chunks.

    Args:
        descriptor: of the open file.
        head: its first bytes, `HEAD_BYTES` of them.
        size: its length in bytes.
        path: its name, for error messages.

    Raises:
        BadAudio: `truncated` or `more_audio`.
    """
    family = _family(head)
    if family is None:
        return _headed(descriptor, head, size, path)
    walk = _Walk(descriptor, head, size, path, family, 0)
    parts = [walk.run()]
    while walk.next_file is not None:
        walk = _Walk(descriptor, head, size, path, family, walk.next_file)
        parts.append(walk.run())
    if len(parts) > 1 and walk.mpeg_span:
        raise BadAudio(path, "more_audio", f"{len(parts)} files with MPEG audio were joined")
    remark = JOINED if len(parts) > 1 else NO_LENGTH if walk.is_open or len(walk.spans) > 1 else None
    return Contents(tuple(parts), remark=remark, mpeg_span=walk.mpeg_span)


def _family(head):
    """Return the `Family` that the first bytes of a file announce, or None."""
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return RIFF
    if head[:4] == b"RIFX" and head[8:12] == b"WAVE":
        return RIFX
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
        return AIFF
    if head[:16] == W64_MAGIC:
        return W64
    if head[:4] == b"caff":
        return CAF
    return None


class _Walk:
    """A walk through the chunks of one file, or of one of several that were joined."""

    def __init__(self, descriptor, head, size, path, family, start):
        self.descriptor = descriptor
        self.head = head
        self.size = size
        self.path = path
        self.family = family
        self.start = start
        self.format = b""  # body of `fmt `
        self.spans = []  # of audio
        self.large_length = None  # of the audio, from `ds64`
        self.is_open = False  # whether the length of the audio is unknown
        self.next_file = None  # start of another file that follows
        self.mpeg_span = None

    def read(self, position, length):
        if position + length <= len(self.head):
            return self.head[position : position + length]
        return os.pread(self.descriptor, length, position)

    def run(self):
        """Walk to the end, and return the `Part`."""
        family = self.family
        header_bytes = family.name_bytes + struct.calcsize(family.length_format)
        position = self.start + family.first
        while position + header_bytes <= self.size:
            header = self.read(position, header_bytes)
            name = header[: family.name_bytes]
            if self._starts_a_file(name, position):
                self.next_file = position
                break
            (length,) = struct.unpack(family.length_format, header[family.name_bytes :])
            name = name[:4]
            body = position + header_bytes
            if family.counts_header:
                length -= header_bytes
            if name in family.audio:
                length = self._audio_length(length, body)
                self.spans.append((body, body + length))
            elif not (name.isascii() and name.decode().isprintable()) or not 0 <= length <= self.size - body:
                if name not in METADATA:
                    self._check_rest(position)
                break
            elif name == b"fmt ":
                self.format = self.read(body, length)
            elif name == b"ds64":
                self.large_length = int.from_bytes(self.read(body + 8, 8), "little")
            position = body + length
            if position % family.alignment and not self._is_unpadded(position):
                position += -position % family.alignment
        else:
            self._check_rest(position)
        return self._part()

    def _starts_a_file(self, name, position):
        return position > self.start and name[:4] == self.head[:4] and _family(self.read(position, 16)) == self.family

    def _is_unpadded(self, position):
        """Return whether the byte that should fill up a chunk is missing, as some programs write it."""
        return self.family.alignment == 2 and self.read(position, 4).isalpha() and not self.read(position + 1, 4).isalpha()

    def _audio_length(self, length, body):
        """Return the bytes of audio at `body`, where the header says `length`."""
        left = self.size - body
        if length == 0xFFFFFFFF and self.large_length is not None:
            length = self.large_length or -1  # 0: the recorder never came back to write it
        if length == 0 and left and not self._is_chunk(body):
            length = -1
        if length < 0 or (length > left and _is_placeholder(length)):
            self.is_open = True
            return left
        if length > left:
            raise BadAudio(self.path, "truncated", f"{length} bytes of audio promised, {left} found")
        return length

    def _is_chunk(self, position):
        """Return whether a chunk that fits into the file starts at `position`."""
        names = self.family.name_bytes
        header = self.read(position, names + struct.calcsize(self.family.length_format))
        if len(header) < names + struct.calcsize(self.family.length_format) or not header[:4].isascii():
            return False
        (length,) = struct.unpack(self.family.length_format, header[names:])
        return header[:4].decode().isprintable() and 0 <= length <= self.size - position - len(header)

    def _check_rest(self, position):
        """Refuse bytes after the audio that may be audio: neither chunks nor tags nor zeros, and long enough to hear."""
        if not self.spans:
            return  # the decoder says what is missing
        while tag := tag_length(self.read(position, 4096), 0, self.size - position):
            position += tag
        if _is_zero(self.descriptor, position, self.size):
            return
        extra = self.size - position
        if extra > self._bytes_per_second() * IGNORED_SECONDS:
            announced = sum(end - start for start, end in self.spans)
            raise BadAudio(
                self.path,
                "more_audio",
                f"its header announces {announced} bytes of audio, and {extra} more bytes follow that belong to nothing",
                f"if they are audio: {ffmpeg_line(self.path, before='-ignore_length 1')}; if not: {ffmpeg_line(self.path)}",
            )

    def _bytes_per_second(self):
        if len(self.format) < 16:
            return 0
        _, channels, rate, _, _, bits = struct.unpack(f"{self.family.order}HHIIHH", self.format[:16])
        return channels * rate * -(-bits // 8)

    def _part(self):
        """Return the audio as a `Part`: the file as it is where its header is right, else under a header of our own."""
        num_bytes = sum(end - start for start, end in self.spans)
        if self.family is AIFF and self.spans and self.head[8:12] != b"8SVX" and self.head[8:12] != b"16SV":
            offset = int.from_bytes(self.read(self.spans[0][0], 4), "big")
            num_bytes -= 8 + offset
        if self.family is CAF:
            num_bytes -= 4  # the number of edits
        if self._tag() in MPEG_TAGS and len(self.spans) == 1:
            self.mpeg_span = self.spans[0]
        is_wave = self.family in (RIFF, RIFX, W64) and self.format
        is_odd = self.is_open or len(self.spans) > 1 or self.start or self.next_file is not None
        is_odd = is_odd or self.family is W64  # libsndfile would read whatever follows the audio, too
        if not is_odd or not self.spans:
            return Part(None, num_bytes=max(num_bytes, 0))
        if is_wave:
            header = _wave_header(self.format, num_bytes, self.family.order)
            return Part((header, *self.spans, b"\0" * (num_bytes % 2)), num_bytes=num_bytes)
        if self.start or self.next_file is not None:
            raise BadAudio(self.path, "more_audio", "several files were joined into one")
        if len(self.spans) > 1:
            raise BadAudio(self.path, "more_audio", f"{len(self.spans)} chunks with audio")
        body, end = self.spans[0]
        length = struct.pack(self.family.length_format, end - body)
        return Part(((0, body - len(length)), length, (body, end)), num_bytes=max(num_bytes, 0))

    def _tag(self):
        """Return the number of the format of the samples."""
        if len(self.format) < 16:
            return None
        (tag,) = struct.unpack(f"{self.family.order}H", self.format[:2])
        if tag == EXTENSIBLE and len(self.format) >= 26:
            (tag,) = struct.unpack(f"{self.family.order}H", self.format[24:26])
        return tag


def _is_placeholder(length):
    """Return whether programs write this length where they do not know it: about 2 or 4 GB, less a header."""
    return length >= 0xFFFF_0000 or 0x7FFF_0000 <= length <= 0x8001_0000


def _is_zero(descriptor, position, end):
    """Return whether a span of a file holds zeros only."""
    while position < end:
        block = os.pread(descriptor, min(1 << 20, end - position), position)
        if not block or block.strip(b"\0"):
            return not block
        position += len(block)
    return True


def _wave_header(format_body, num_bytes, order):
    """Return the header of a WAV file up to the samples; RF64 where they exceed 4 GB."""
    format_chunk = b"fmt " + struct.pack(f"{order}I", len(format_body)) + format_body + b"\0" * (len(format_body) % 2)
    rest = 4 + len(format_chunk) + 8 + num_bytes + num_bytes % 2
    if rest < 0xFFFF_FFFF:
        start = (b"RIFF" if order == "<" else b"RIFX") + struct.pack(f"{order}I", rest) + b"WAVE"
        return start + format_chunk + b"data" + struct.pack(f"{order}I", num_bytes)
    sizes = b"ds64" + struct.pack("<IQQQI", 28, rest + 36, num_bytes, 0, 0)
    start = b"RF64\xff\xff\xff\xffWAVE" + sizes + format_chunk
    return start + b"data\xff\xff\xff\xff"


def _headed(descriptor, head, size, path):
    """Return the `Contents` of an AU or a NIST file, a header and samples; None for any other."""
    if head[:4] in (b".snd", b"dns."):
        start, length = struct.unpack(">II" if head[:1] == b"." else "<II", head[4:12].ljust(8, b"\0"))
        if length == 0xFFFFFFFF:
            length = size - start
    elif head[:7] == b"NIST_1A" and head[8:16].strip().isdigit():
        start = int(head[8:16])
        values = dict(_nist_fields(os.pread(descriptor, start, 0)))
        length = values.get(b"sample_count", 0) * values.get(b"channel_count", 1) * values.get(b"sample_n_bytes", 0)
        length = length or size - start
    else:
        return None
    if length > size - start:
        raise BadAudio(path, "truncated", f"{length} bytes of audio promised, {max(size - start, 0)} found")
    extra = size - start - length
    position = start + length
    while tag := tag_length(os.pread(descriptor, 4096, position), 0, size - position):
        position += tag
    if size - position > 8 and not _is_zero(descriptor, position, size):
        raise BadAudio(path, "more_audio", f"its header announces {length} bytes of audio, and {extra} more bytes follow")
    pieces = ((0, start + length),) if extra else None
    return Contents((Part(pieces, num_bytes=length),))


def _nist_fields(header):
    """Yield (name, number) for each number in a NIST header; some programs write numbers as text (-s1)."""
    for line in header.split(b"\n"):
        words = line.split()
        if len(words) == 3 and words[1][:2] in (b"-i", b"-s") and words[2].isdigit():
            yield words[0], int(words[2])
