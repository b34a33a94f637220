"""What audio files hold, read from the files themselves: which bytes are audio, and whether that is all that the header announces.

Decoders believe headers. libsndfile stops where the header, or the first of several streams, says that the audio ends, and
takes a length that a recorder left open for a real one. `survey` walks through the whole structure of a file instead, and
says how libsndfile must read it to get everything.
"""

import mmap
import os

from speech2unit.corpora.containers import chunks, flac, libav, mpeg, ogg
from speech2unit.corpora.containers.contents import AS_IT_IS, View, skip_tags

__all__ = ["View", "survey"]

IN_MEMORY_BYTES = 1 << 20  # up to here reading a file is faster than mapping it


def survey(file, path):
    """Return the `Contents` of an open file.

    Args:
        file: binary file with a descriptor.
        path: its name, for error messages.

    Raises:
        BadAudio: `truncated`, `more_audio` or `damaged`.
    """
    size = os.fstat(file.fileno()).st_size
    head = os.pread(file.fileno(), chunks.HEAD_BYTES, 0)
    contents = chunks.survey(file.fileno(), head, size, path)
    if contents is not None and not contents.mpeg_span:
        return contents
    if size <= IN_MEMORY_BYTES:
        return _survey_stream(os.pread(file.fileno(), size, 0), contents, path)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _survey_stream(data, contents, path)


def _survey_stream(data, contents, path):
    """Return the `Contents` of a file without chunks, or of the MPEG audio in the data chunk of a WAV file."""
    if contents is not None:
        start, end = contents.mpeg_span
        return mpeg.survey(data, start, end, path, is_plain=False) or contents
    start = skip_tags(data, 0, len(data))
    if data[start : start + 4] == b"fLaC":
        return flac.survey(data, start, path)
    if data[start : start + 4] == b"OggS":
        return ogg.survey(data, start, path)
    if demuxer := libav.sniff(data[: libav.HEAD_BYTES]):
        return AS_IT_IS.but(demuxer=demuxer)
    return mpeg.survey(data, start, len(data), path) or AS_IT_IS
