"""What a survey of a file returns, and files made of pieces of others."""

import bisect
import io
import os
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Part:
    """Audio that a decoder reads as one file.

    Attributes:
        pieces: bytes, and spans (start, end) of the file, that make up what the decoder reads; None: the file as it is.
        num_frames: fewest sample frames that the decoder must find there; None if unknown.
        num_bytes: bytes of samples, for formats in which each sample has its number of bytes; None if unknown.
    """

    pieces: tuple | None = None
    num_frames: int | None = None
    num_bytes: int | None = None


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        parts: its audio, part after part.
        payload: spans of compressed audio without tags, for the hash; None: the whole file.
        remark: what is odd about the file, if anything.
        mpeg_span: span of MPEG audio in a WAV file, which is still to be surveyed.
        demuxer: name of FFmpeg's demuxer for a format that libsndfile cannot read.
        is_known: whether the structure of the file was followed to its end.
    """

    parts: tuple = (Part(),)
    payload: tuple | None = None
    remark: str | None = None
    mpeg_span: tuple | None = None
    demuxer: str | None = None
    is_known: bool = True

    def but(self, **changes):
        """Return a copy with some attributes changed."""
        return replace(self, **changes)


AS_IT_IS = Contents(is_known=False)
NO_LENGTH = "read to the end, because the header announces no length or a wrong one"
JOINED = "several streams, read one after another"


@dataclass
class View(io.RawIOBase):
    """A read-only file made of `pieces`: bytes, and spans (start, end) of the file with the descriptor `descriptor`."""

    descriptor: int
    pieces: tuple
    ends: list = field(default_factory=list)
    position: int = 0

    def __post_init__(self):
        size = 0
        for piece in self.pieces:
            size += len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            self.ends.append(size)

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.position

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.ends[-1]}[whence]
        self.position = max(base + offset, 0)
        return self.position

    def readinto(self, buffer):
        wanted = memoryview(buffer).cast("B")
        num_read = 0
        index = bisect.bisect_right(self.ends, self.position)
        while num_read < len(wanted) and index < len(self.pieces):
            left = min(self.ends[index] - self.position, len(wanted) - num_read)
            piece = self.pieces[index]
            before_end = self.ends[index] - self.position
            if isinstance(piece, bytes):
                block = piece[len(piece) - before_end : len(piece) - before_end + left]
            else:
                block = os.pread(self.descriptor, left, piece[1] - before_end)
            if not block:
                break
            wanted[num_read : num_read + len(block)] = block
            num_read += len(block)
            self.position += len(block)
            index = bisect.bisect_right(self.ends, self.position)
        return num_read


def skip_tags(data, position, end):
    """Return the position after the tags at `position`: ID3v1, ID3v2, APEv2 and Lyrics3."""
    while length := tag_length(data, position, end):
        position += length
    return position


def tag_length(data, position, end):
    """Return the length of the tag at `position`, at most up to `end`; 0 if there is none."""
    head = data[position : position + 32]
    length = 0
    if head.startswith(b"ID3") and len(head) >= 10 and max(head[6:10]) < 128:
        length = 10 + sum(byte << 7 * (3 - index) for index, byte in enumerate(head[6:10])) + (10 if head[5] & 16 else 0)
    elif head.startswith(b"TAG+"):
        length = 227
    elif head.startswith(b"TAG"):
        length = 128
    elif head.startswith(b"APETAGEX") and len(head) == 32:
        has_header = int.from_bytes(head[20:24], "little") >> 29 & 1
        length = int.from_bytes(head[12:16], "little") + (32 if has_header else 0)
    elif head.startswith(b"LYRICSBEGIN"):
        footer = data.find(b"LYRICS200", position, end)
        length = footer + 9 - position if footer > 0 else 0
    return max(min(length, end - position), 0)


def merged(spans):
    """Join spans that touch each other."""
    result = []
    for start, end in spans:
        if result and result[-1][1] == start:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return tuple(result)
