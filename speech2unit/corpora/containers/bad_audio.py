"""`BadAudio`, the error for audio that breaks a rule, with the rules and what to type in each case. `audio.py` explains the codes."""

import codecs
import shlex
from pathlib import Path

from storage.errors import data_error
from storage.text import shown

RULES = {
    "bad_name": "names must be processable",
    "missing": "the file must exist",
    "unreadable": "the file must be readable",
    "not_audio": "the file must be audio",
    "no_decoder": "the format must have a decoder",
    "truncated": "the file must be whole",
    "unchecked": "the format must show whether a file is whole",
    "more_audio": "the file must end with the audio that it announces",
    "damaged": "the file must be undamaged",
    "bad_rate": "the sample rate must be plausible",
    "no_samples": "the file must hold audio",
    "too_short": "the audio must fill one encoder frame",
    "not_finite": "samples must be finite",
    "too_loud": "full scale must be 1",
    "silent": "the audio must be louder than noise",
    "too_long": "the recording must fit into memory",
    "not_units": "units must be numbers of the codebook",
}
FORMATS = "requirements-formats.txt"  # lists PyAV


class BadAudio(ValueError):
    """Error for audio that breaks a rule.

    Attributes:
        path: the file.
        reason: key of `RULES`.
        detail: what is wrong with the file.
        remedy: what to type or do.
    """

    def __init__(self, path, reason, detail, remedy=None):
        remedy = remedy or remedy_for(path, reason)
        text = data_error(
            ascii(str(path))[1:-1], RULES[reason], expected="usable audio", got=f"{reason}: {detail}", remedy=remedy
        )
        super().__init__(str(text))
        self.path = path
        self.reason = reason
        self.detail = detail
        self.remedy = remedy

    @property
    def explanation(self):
        """What is wrong with the file, and what to do, as the column `detail` of tables has it."""
        return f"{self.detail}; {self.remedy}"

    def __reduce__(self):
        return BadAudio, (self.path, self.reason, self.detail, self.remedy)


def remedy_for(path, reason):
    """Return what to do about a file that breaks the rule `reason`, where nothing better is known."""
    if reason == "missing":
        return "correct the path where it is written, or put the file there"
    if reason in ("truncated", "damaged"):
        return f"get the file again, or keep what can be read of it: {ffmpeg_line(path)}"
    if reason in ("more_audio", "bad_rate"):
        return f"repair it: {ffmpeg_line(path)}"
    if reason == "not_audio":
        return f"replace or remove the file; if ffmpeg can read it: {ffmpeg_line(path)}"
    if reason == "no_decoder":
        return f"pip install -r {FORMATS}, or convert the file: {ffmpeg_line(path)}"
    if reason == "bad_name":
        return "rename the file"
    return "replace or remove the file"


def not_audio(path, head, detail):
    """Return the `BadAudio` about a file that no decoder knows. Text, such as an error page of a server, gets no line for ffmpeg.

    Args:
        path: the file.
        head: its first bytes.
        detail: what the decoder says.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut off
    except UnicodeDecodeError:
        text = ""
    words = " ".join(text.split())
    if not words or not words.isprintable():
        return BadAudio(path, "not_audio", detail)
    return BadAudio(path, "not_audio", f"text, '{shown(words, 40)}'", "put the recording in its place, or remove the file")


def ffmpeg_line(path, before="", after=""):
    """Return the command that writes a repaired copy of a file as WAV of 16 bits.

    Args:
        path: the file.
        before: options of ffmpeg before the input, such as `-ignore_length 1`.
        after: options after it, such as `-map 0:a:0`.
    """
    repaired = Path(str(path)).with_suffix(".wav")
    if str(repaired) == str(path):
        repaired = repaired.with_name(f"{repaired.stem}_repaired.wav")
    words = ["ffmpeg", *before.split(), "-i", quoted(path), *after.split(), "-c:a", "pcm_s16le", quoted(repaired)]
    return f"{' '.join(words)} (and use that file instead)"


def soundfile_line(path):
    """Return the command that converts a file to WAV of 16 bits with soundfile, for formats that ffmpeg does not know."""
    program = "import soundfile, sys; soundfile.write(sys.argv[2], *soundfile.read(sys.argv[1]))"
    return f'python -c "{program}" {quoted(path)} {quoted(Path(str(path)).with_suffix(".wav"))} (and use that file instead)'


def quoted(path):
    """Return a path as the shell reads it."""
    name = str(path)
    return shlex.quote(name if name.isprintable() else ascii(name)[1:-1])
