"""FLAC: every frame has a number and checksums, so the frames themselves tell how much audio a file holds.

**Source:** RFC 9639.
"""

import re

from speech2unit.corpora.containers.bad_audio import BadAudio
from speech2unit.corpora.containers.contents import JOINED, NO_LENGTH, Contents, Part, skip_tags

START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # the marker, and the header of STREAMINFO
FRAME = re.compile(rb"\xff[\xf8\xf9]")
SHORT_BLOCKS = {1: 192} | {code: 576 << code - 2 for code in range(2, 6)} | {code: 256 << code - 8 for code in range(8, 16)}


def _table(polynomial, bits):
    """Return the table of a checksum: byte → its remainder."""
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return table


CRC8 = _table(0x07, 8)
CRC16 = _table(0x8005, 16)


def survey(data, start, path):
    """Return the `Contents` of a file with one FLAC stream or several, one after another.

    Args:
        data: bytes of the file.
        start: position of the first stream.
        path: its name, for error messages.

    Raises:
        BadAudio: `truncated`, `damaged` or `more_audio`.
    """
    starts = [start, *(match.start() for match in START.finditer(data, start + 4))]
    parts = []
    for begin, end in zip(starts, [*starts[1:], len(data)]):
        parts.append(_part(data, begin, end, path, is_whole_file=len(starts) == 1 and begin == 0))
    if None in parts:
        return Contents(is_known=False)  # libsndfile says what is wrong
    return Contents(tuple(parts), remark=JOINED if len(parts) > 1 else NO_LENGTH if parts[0].pieces else None)


def _part(data, start, end, path, is_whole_file):
    """Return the stream in a span of a file as a `Part`; None if its header is damaged."""
    info = data[start + 8 : start + 42]
    if len(info) < 34:
        return None
    announced = int.from_bytes(info[13:18], "big") & (1 << 36) - 1
    channels = (info[12] >> 1 & 7) + 1
    block_size = int.from_bytes(info[2:4], "big")
    position = start + 4
    is_last = False
    while not is_last:
        header = data[position : position + 4]
        if len(header) < 4:
            return None
        is_last = bool(header[0] & 128)
        position += 4 + int.from_bytes(header[1:4], "big")
    found, last, last_samples = _count_frames(data, position, end, channels, block_size, path)
    # A frame is at most a little longer than its samples.
    longest = last_samples * channels * ((int.from_bytes(info[12:14], "big") >> 4 & 31) + 8) // 8 + 64
    longest = min(longest, int.from_bytes(info[7:10], "big") or longest)
    _check_rest(data, last + longest, end, path)
    if found < announced:
        raise BadAudio(path, "truncated", f"{announced} samples promised, {found} found")
    if found == announced and is_whole_file:
        return Part(num_frames=found)
    fixed = bytearray(data[start : start + 42])
    fixed[21:26] = ((int.from_bytes(info[13:18], "big") >> 36 << 36) | found).to_bytes(5, "big")
    return Part((bytes(fixed), (start + 42, end)), num_frames=found)


def _check_rest(data, position, end, path):
    """Refuse bytes after the last frame, which ends at `position` at the latest, except zeros and tags."""
    rest = data[position:end]
    if not rest.strip(b"\0"):
        return
    for tag in (b"TAG", b"ID3", b"APETAGEX"):
        start = data.find(tag, max(position - 256, 0), end)
        if start >= 0 and not data[skip_tags(data, start, end) : end].strip(b"\0"):
            return
    raise BadAudio(path, "more_audio", f"at least {len(rest)} bytes follow the last frame")


def _count_frames(data, start, end, channels, block_size, path):
    """Return the number of samples in the frames of a stream, the position of the last frame, and its number of samples.

    Raises:
        BadAudio: where frames are lost, or begin again.
    """
    first = None
    expected = 0
    length = 0
    previous = start
    strategy = None
    for match in FRAME.finditer(data, start, end):
        position = match.start()
        frame = _frame(data, position, end, channels, block_size)
        if frame is None or (strategy is not None and data[position + 1] != strategy):
            continue
        sample, num_samples = frame
        if first is None:
            first = expected = sample
            strategy = data[position + 1]
        if sample == expected:
            expected += num_samples
            length = num_samples
            previous = position
        elif _checksum16(data[previous:position]) == 0:  # else only by chance it looks like a frame
            raise BadAudio(path, "damaged", f"sample {expected} is expected at byte {position}, and sample {sample} follows")
    return expected - (first or 0), previous, length


def _frame(data, position, end, channels, block_size):
    """Return (number of its first sample, number of samples) of the frame at `position`; None if there is no frame."""
    header = data[position : min(position + 16, end)]
    if len(header) < 6 or header[3] & 1:
        return None
    size_code = header[2] >> 4
    rate_code = header[2] & 15
    channel_code = header[3] >> 4
    if size_code == 0 or rate_code == 15 or channel_code > 10:
        return None
    if (channel_code + 1 if channel_code < 8 else 2) != channels:
        return None
    first = header[4]
    extra = 0 if first < 128 else 8 - (first ^ 255).bit_length() - 1
    if first >= 128 and not 1 <= extra <= 6:
        return None
    number = first if not extra else first & (1 << 6 - extra) - 1
    for byte in header[5 : 5 + extra]:
        number = number << 6 | byte & 63
    place = 5 + extra
    if size_code in (6, 7):
        width = size_code - 5
        length = int.from_bytes(header[place : place + width], "big") + 1
        place += width
    else:
        length = SHORT_BLOCKS[size_code]
    place += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if place >= len(header):
        return None
    checksum = 0
    for byte in header[:place]:
        checksum = CRC8[checksum ^ byte]
    if checksum != header[place]:
        return None
    return (number if header[1] & 1 else number * block_size), length


def _checksum16(data):
    """Return the checksum of a frame together with its own checksum: 0 if the frame is whole."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFF00) ^ CRC16[value >> 8 ^ byte]
    return value
