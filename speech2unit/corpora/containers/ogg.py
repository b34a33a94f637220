"""Ogg: pages with checksums and numbers, of one stream or several, side by side or one after another.

**Source:** RFC 3533; RFC 7845 for Opus.
"""

import zlib
from dataclasses import dataclass, field
from itertools import pairwise

from speech2unit.corpora.containers.bad_audio import BadAudio, ffmpeg_line
from speech2unit.corpora.containers.contents import JOINED, Contents, Part, merged, skip_tags

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the CRC of Ogg is that of zlib with reversed bits
AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")  # how the first packet of a stream begins
COMMENTS = (b"\x03vorbis", b"OpusTags")
NO_POSITION = (1 << 64) - 1  # granule position of a page on which no packet ends
MODE_BITS = 41  # of a mode in the setup header of Vorbis
OPUS_FRAMES = (*(480, 960, 1920, 2880) * 3, *(480, 960) * 2, *(120, 240, 480, 960) * 4)  # samples at 48 kHz, by configuration


@dataclass
class Stream:
    """Pages of a stream."""

    first_packet: bytes
    spans: list = field(default_factory=list)  # of its pages
    bodies: list = field(default_factory=list)  # spans of the content of its pages, without comments
    positions: list = field(default_factory=list)  # granule positions of pages with audio
    durations: list = field(default_factory=list)  # samples of the packets that end on each of these pages
    is_ended: bool = False
    packet: bytes = b""  # start of a packet that goes on in the next page
    num_packets: int = 0
    clock: object = None  # `OpusClock` or `VorbisClock`

    def is_audio(self):
        return self.first_packet.startswith(AUDIO)


def survey(data, start, path):
    """Return the `Contents` of an Ogg file.

    Args:
        data: bytes of the file.
        start: position of the first page.
        path: its name, for error messages.

    Raises:
        BadAudio: `damaged` where a page or its checksum is, `truncated` where the end is missing, `more_audio` where a stream has more
            audio than it says, or several streams sound at the same time.
    """
    links = _links(data, start, path)
    parts = []
    payload = []
    for streams in links:
        audio = [stream for stream in streams.values() if stream.is_audio()]
        if len(audio) > 1:
            line = ffmpeg_line(path, after="-map 0:a:0")
            raise BadAudio(path, "more_audio", f"{len(audio)} streams of audio at the same time", f"take one: {line}")
        if not audio:
            continue
        _check_positions(audio[0], path)
        pieces = merged(audio[0].spans)
        is_whole_file = pieces == ((0, len(data)),)
        parts.append(Part(None if is_whole_file else pieces, num_frames=_least_frames(audio[0])))
        payload += audio[0].bodies
    if not parts:
        return Contents(is_known=False)  # libsndfile says that there is none
    return Contents(tuple(parts), payload=tuple(payload), remark=JOINED if len(parts) > 1 else None)


def _links(data, position, path):
    """Return the links of a chain, each as serial number → `Stream`, with every page checked."""
    links = []
    next_numbers = {}  # serial number of a stream → number of its next page
    has_data = True  # whether the current link has more than first pages
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            position = skip_tags(data, position, len(data))
            if not data[position : position + 4096].strip(b"\0"):
                break  # zeros that fill up a block
        page = read_page(data, position, path)
        serial = page[14:18]
        is_first = bool(page[5] & 2)
        body = position + 27 + page[26]
        if is_first:
            if has_data:
                links.append({})
                has_data = False
            links[-1][serial] = Stream(bytes(page[27 + page[26] :][:8]))
            next_numbers.pop(serial, None)
        elif not links or serial not in links[-1]:
            raise BadAudio(path, "damaged", f"the Ogg page at byte {position} belongs to no stream")
        else:
            has_data = True
        number = int.from_bytes(page[18:22], "little")
        if number != next_numbers.setdefault(serial, number):
            raise BadAudio(path, "damaged", f"Ogg page {next_numbers[serial]} is missing")
        next_numbers[serial] = number + 1
        stream = links[-1][serial]
        if stream.is_ended:
            raise BadAudio(path, "more_audio", f"a stream goes on at byte {position} after its end")
        stream.is_ended = bool(page[5] & 4)
        stream.spans.append((position, position + len(page)))
        if stream.is_audio():
            _read_packets(stream, page, body)
        position += len(page)
    if not all(stream.is_ended for streams in links for stream in streams.values() if stream.is_audio()):
        raise BadAudio(path, "truncated", "the last Ogg page does not end the stream")
    return links


def read_page(data, start, path):
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


def _read_packets(stream, page, body):
    """Take the content of a page with audio: its granule position, the spans of its packets, and how long they last."""
    start = 27 + page[26]
    num_headers = 2 if stream.first_packet.startswith(b"OpusHead") else 3
    duration = 0
    has_audio = False
    position = start
    for length in page[27:start]:
        if stream.num_packets < num_headers or len(stream.packet) < 2:
            stream.packet += page[position : position + length]
        is_comment = stream.num_packets == 1 and stream.packet.startswith(COMMENTS)
        if not is_comment:
            stream.bodies.append((body + position - start, body + position - start + length))
        position += length
        if length < 255:
            if stream.num_packets >= num_headers:
                has_audio = True
                duration += stream.clock.num_samples(stream.packet) if stream.clock else 0
            elif stream.num_packets == num_headers - 1:
                stream.clock = _clock(stream)
            elif stream.num_packets == 0:
                stream.first_packet = stream.packet
            stream.num_packets += 1
            stream.packet = b""
    stream.bodies = list(merged(stream.bodies))
    granule = int.from_bytes(page[6:14], "little")
    if has_audio and granule != NO_POSITION:
        stream.positions.append(granule)
        stream.durations.append(duration)
    elif has_audio and stream.durations:
        stream.durations[-1] += duration


def _clock(stream):
    """Return what tells the duration of the packets of a stream, whose last header is in `stream.packet`; None if nothing does."""
    if stream.first_packet.startswith(b"OpusHead"):
        return OpusClock()
    if stream.first_packet.startswith(b"\x01vorbis") and len(stream.first_packet) >= 29:
        sizes = (1 << (stream.first_packet[28] & 15), 1 << (stream.first_packet[28] >> 4))
        flags = _vorbis_modes(stream.packet)
        return VorbisClock([sizes[flag] for flag in flags]) if flags else None
    return None


class OpusClock:
    """Durations of Opus packets."""

    def __init__(self):
        self.longest = 0

    def num_samples(self, packet):
        """Return the duration of a packet in samples at 48 kHz, from its first bytes."""
        if not packet:
            return 0
        code = packet[0] & 3
        num_frames = (1, 2, 2)[code] if code < 3 else (packet[1] & 63 if len(packet) > 1 else 0)
        duration = num_frames * OPUS_FRAMES[packet[0] >> 3]
        self.longest = max(self.longest, duration)
        return duration


class VorbisClock:
    """Durations of Vorbis packets: blocks overlap, so that a packet completes a quarter of its block and of the one before.

    Attributes:
        block_sizes: number of a mode → samples of its block.
    """

    def __init__(self, block_sizes):
        self.block_sizes = block_sizes
        self.longest = max(block_sizes) // 2
        self.previous = 0

    def num_samples(self, packet):
        """Return the samples that a packet completes, from its first bytes."""
        if not packet or packet[0] & 1:
            return 0
        number = packet[0] >> 1 & (1 << (len(self.block_sizes) - 1).bit_length()) - 1
        size = self.block_sizes[min(number, len(self.block_sizes) - 1)]
        duration = (self.previous + size) // 4 if self.previous else 0
        self.previous = size
        return duration


def _vorbis_modes(setup):
    """Return which modes have long blocks, from the end of a setup header, where the modes are; empty if there are none.

    A mode has 41 bits: whether its blocks are long, 32 zeros, and the number of its mapping. Before the modes stands their number.
    """
    bits = int.from_bytes(setup, "little")
    end = bits.bit_length() - 1  # of the modes; there is the last bit of the header
    flags = []
    modes = []
    while len(flags) < 64 and end - MODE_BITS * (len(flags) + 1) > 6:
        mode = bits >> end - MODE_BITS * (len(flags) + 1) & (1 << MODE_BITS) - 1
        if mode >> 1 & 0xFFFF_FFFF or mode >> 33 > 63:
            break
        flags.append(mode & 1)
        if (bits >> end - MODE_BITS * len(flags) - 6 & 63) + 1 == len(flags):
            modes = flags[::-1]
    return modes


def _check_positions(stream, path):
    """Refuse a stream whose last pages announce less audio than the pages before them, or than their packets hold."""
    positions = stream.positions
    for earlier, later in pairwise(positions):
        if later < earlier:
            raise BadAudio(path, "more_audio", f"its pages go on after sample {later}, where its end is announced")
    if stream.clock is None or not positions:
        return
    # An encoder fills up its last packet, and announces where the sound ends in there.
    extra = sum(stream.durations) - (positions[-1] - _start(stream))
    if extra > 2 * stream.clock.longest:
        raise BadAudio(path, "more_audio", f"its packets hold {extra} samples more than it announces")


def _start(stream):
    """Return the granule position at which the first packet with sound begins: 0, except in recordings of a running stream."""
    return max(stream.positions[0] - stream.durations[0], 0)


def _least_frames(stream):
    """Return the fewest samples that a decoder must find; 0 where this is not known, or is counted at another rate."""
    if not isinstance(stream.clock, VorbisClock) or not stream.positions:
        return 0
    return max(stream.positions[-1] - _start(stream) - stream.clock.longest, 0)
