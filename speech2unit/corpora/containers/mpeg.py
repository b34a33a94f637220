"""MPEG audio, as in MP3 files: frames, one after another, each with a header of four bytes. No header says how many there are.

Many files begin with a frame without audio that announces the number of frames (`Xing`, `Info` or `VBRI`). Without it libsndfile
estimates the length from the bit rate of the first frame and stops there, so `survey` counts the frames and writes such a frame.

**Source:** ISO/IEC 11172-3, 13818-3; the Xing header and LAME's extension of it.
"""

from dataclasses import dataclass, field
from functools import cache

from speech2unit.corpora.containers.bad_audio import BadAudio
from speech2unit.corpora.containers.contents import JOINED, NO_LENGTH, Contents, Part, merged, skip_tags, tag_length

KBITS = {  # (whether MPEG-1, layer) → kbit/s by number
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44_100, 48_000, 32_000)
DIVISORS = {3: 1, 2: 2, 0: 4}  # of the rates, by version: MPEG-1, 2, 2.5
SEARCHED_BYTES = 1 << 16  # how far from its start a file's first frame may be
NUM_IN_A_ROW = 3  # frames in a row that are no coincidence
DECODER_DELAY = 529  # samples, which gapless decoding leaves out
TAG_BYTES = 160  # of the frame that announces the length: up to the delays of LAME


@dataclass(frozen=True)
class Frame:
    """Header of a frame."""

    kind: tuple  # version, layer, rate and whether it is mono: the same in all frames of a stream
    num_bytes: int  # 0: free bit rate
    num_samples: int
    tag_position: int  # of `Xing` or `Info` within the frame


@dataclass
class Stream:
    """Frames from one announcement to the next."""

    announcement: tuple | None  # span of the frame without audio
    num_announced: int | None
    num_bytes_announced: int | None
    trimmed: int = 0  # samples that the encoder added
    num_frames: int = 0
    first: int | None = None  # position of the first frame with audio
    spans: list = field(default_factory=list)


def survey(data, start, end, path, is_plain=True):
    """Return the `Contents` of MPEG audio in a span of a file; None if there is none.

    Args:
        data: bytes of the file.
        start, end: the span.
        path: name of the file, for error messages.
        is_plain: whether libsndfile can read the file as it is, if its length is announced.

    Raises:
        BadAudio: `truncated`, `damaged` or `more_audio`.
    """
    position = _first_frame(data, start, end)
    if position is None:
        return None
    is_plain = is_plain and position == skip_tags(data, start, end)
    frame = _frame_at(data, position)
    streams = _streams(data, position, end, frame, path)
    parts = tuple(_part(data, stream, frame, path, is_plain and len(streams) == 1) for stream in streams if stream.num_frames)
    payload = [span for stream in streams for span in stream.spans]
    if not parts:
        raise BadAudio(path, "no_samples", "a header without audio")
    return Contents(parts, merged(payload), JOINED if len(parts) > 1 else NO_LENGTH if parts[0].pieces and is_plain else None)


@cache
def parse_header(header):
    """Return the `Frame` of a header of four bytes; None if it is none. There are few different ones, so they are kept."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version = header[1] >> 3 & 3
    layer = 4 - (header[1] >> 1 & 3)
    bits = header[2] >> 4
    rate_number = header[2] >> 2 & 3
    if version == 1 or layer == 4 or bits == 15 or rate_number == 3 or header[3] & 3 == 2:
        return None
    rate = RATES[rate_number] // DIVISORS[version]
    kbits = KBITS[version == 3, layer][bits]
    padding = header[2] >> 1 & 1
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    slot_bytes = 4 if layer == 1 else 1
    num_bytes = slot_bytes * (samples // 8 * 1000 * kbits // slot_bytes // rate + padding)
    is_mono = header[3] >> 6 == 3
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[version == 3, is_mono]
    tag_position = 4 + side + (0 if header[1] & 1 else 2)
    return Frame((version, layer, rate, is_mono), num_bytes if bits else 0, samples, tag_position)


def _frame_at(data, position):
    return parse_header(bytes(data[position : position + 4]))


def _length(data, position, frame, end):
    """Return the length of a frame. At a free bit rate only the next header tells it."""
    if frame.num_bytes:
        return frame.num_bytes
    following = position + 24
    while (following := data.find(data[position : position + 2], following, end)) > 0:
        other = _frame_at(data, following)
        if other and other.kind == frame.kind and not other.num_bytes:
            return following - position
        following += 1
    return end - position


def _first_frame(data, start, end):
    """Return the position of the first frame: after tags and zeros, or after a rest of a cut frame; None if there is none."""
    position = skip_tags(data, start, end)
    stop = min(end, position + SEARCHED_BYTES)
    if _is_frame_row(data, position, end):
        return position
    while (position := data.find(b"\xff", position, stop)) >= 0:
        if _is_frame_row(data, position, end, must_be_many=True):
            return position
        position += 1
    return None


def _is_frame_row(data, position, end, kind=None, must_be_many=False):
    """Return whether frames of one kind follow each other at `position`; where the file ends before, fewer are enough."""
    for number in range(NUM_IN_A_ROW):
        if position >= end or (number and tag_length(data, position, end)):
            return number > 0 and not must_be_many
        frame = _frame_at(data, position)
        if frame is None or (kind is not None and frame.kind != kind):
            return False
        kind = frame.kind
        position += _length(data, position, frame, end)
        if position > end and number == 0:
            return False
    return True


def _streams(data, position, end, first, path):
    """Return the `Stream`s in a span that begins with the frame `first`. Raises `BadAudio` where there is anything else."""
    streams = []
    kind = first.kind
    while position < end:
        frame = parse_header(bytes(data[position : position + 4]))
        if frame is not None and frame.kind == kind:
            length = frame.num_bytes or _length(data, position, frame, end)
            if position + length > end:
                raise BadAudio(path, "truncated", f"the last frame has {end - position} of {length} bytes")
            announced = _announcement(data, position, length, frame)
            if announced is not None:
                streams.append(announced)
            else:
                if not streams:
                    streams.append(Stream(None, None, None))
                stream = streams[-1]
                if not stream.num_frames:
                    stream.first = position
                stream.num_frames += 1
                if stream.spans and stream.spans[-1][1] == position:
                    stream.spans[-1] = (stream.spans[-1][0], position + length)
                else:
                    stream.spans.append((position, position + length))
            position += length
        elif tag := tag_length(data, position, end):
            position += tag
        else:
            position = _skip_junk(data, position, end, kind, path)
    return streams


def _skip_junk(data, position, end, kind, path):
    """Return the position after zeros, or after the last bytes of a file if they are few. Raises `BadAudio` for anything else."""
    following = position
    while (following := data.find(b"\xff", following, end)) >= 0:
        if _is_frame_row(data, following, end, must_be_many=True):
            break
        following += 1
    stop = end if following < 0 else following
    if following >= 0 and _frame_at(data, following).kind != kind:
        raise BadAudio(path, "more_audio", f"from byte {following} on it has another sample rate, format or number of channels")
    if _is_zero(data, position, stop) or (following < 0 and end - position < 1024):
        return stop
    tag = data.find(b"TAG", position, end)
    if following < 0 and tag >= 0 and (tag == end - 128 or tag - position < 1024):
        return end
    raise BadAudio(path, "damaged", f"{stop - position} bytes at byte {position} are no MPEG frame")


def _is_zero(data, start, stop):
    return all(not data[at : min(at + (1 << 20), stop)].strip(b"\0") for at in range(start, stop, 1 << 20))


def _announcement(data, position, length, frame):
    """Return a `Stream` if the frame announces one, else None."""
    tag = position + frame.tag_position
    name = data[tag : tag + 4]
    if name in (b"Xing", b"Info"):
        flags = int.from_bytes(data[tag + 4 : tag + 8], "big")
        place = tag + 8
        numbers = []
        for bit in (1, 2):
            numbers.append(int.from_bytes(data[place : place + 4], "big") if flags & bit else None)
            place += 4 if flags & bit else 0
        place += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
        trimmed = 0
        if place + 24 <= position + length and data[place : place + 4].strip(b"\0"):
            delays = int.from_bytes(data[place + 21 : place + 24], "big")
            trimmed = (delays >> 12) + (delays & 0xFFF)
        return Stream((position, position + length), numbers[0], numbers[1], trimmed)
    if data[position + 36 : position + 40] == b"VBRI":
        numbers = [int.from_bytes(data[position + place : position + place + 4], "big") for place in (50, 46)]
        return Stream((position, position + length), *numbers)
    return None


def _part(data, stream, frame, path, is_plain):
    """Return a stream as a `Part`: as it is if its length is announced, else after an announcement of our own."""
    num_bytes = sum(end - start for start, end in stream.spans)
    announced = stream.num_announced
    if announced is not None and announced > stream.num_frames:
        with_announcement = num_bytes + stream.announcement[1] - stream.announcement[0]
        if stream.num_bytes_announced not in (num_bytes, with_announcement):
            raise BadAudio(path, "truncated", f"{announced} frames promised, {stream.num_frames} found")
    num_samples = stream.num_frames * frame.num_samples
    if announced == stream.num_frames and len(stream.spans) == 1:
        least = max(num_samples - stream.trimmed - DECODER_DELAY, 0)
        return Part(None if is_plain else (stream.announcement, *stream.spans), least)
    if frame.kind[1] != 3:
        # Decoders know announcements in layer III only; in the others all frames are equally long, and nothing else may be there.
        return Part(None if is_plain and stream.spans == [(0, len(data))] else tuple(stream.spans), num_samples)
    return Part((_make_announcement(data, stream, num_bytes), *stream.spans), num_samples)


def _make_announcement(data, stream, num_bytes):
    """Return the bytes of a frame that announces the length of a stream, and of a silent frame.

    Decoders leave out the delay that an announcement names, and one of their own. The silent frame makes up for that, so that every
    sample of the stream is decoded.
    """
    header = bytearray(data[stream.first : stream.first + 4])
    header[1] |= 1  # no checksum
    while (frame := parse_header(bytes(header))).num_bytes < TAG_BYTES:
        header[2] += 16  # a higher bit rate
    silence = bytes(header).ljust(frame.num_bytes, b"\0")
    num_bytes += 2 * frame.num_bytes
    tag = b"Info" + (3).to_bytes(4, "big") + (stream.num_frames + 1).to_bytes(4, "big") + num_bytes.to_bytes(4, "big")
    delays = (frame.num_samples - DECODER_DELAY) << 12
    tag += b"LAME".ljust(21, b"\0") + delays.to_bytes(3, "big")
    return silence[: frame.tag_position] + tag + silence[frame.tag_position + len(tag) :] + silence
