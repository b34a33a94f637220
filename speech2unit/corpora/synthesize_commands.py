"""An embedded speech-command corpus from espeak-ng, in the manner of Google Speech Commands: made, not downloaded.

Ten (or any) command words, one class `unknown` of other words, one class `silence` of noise alone; speakers who differ in
voice, dialect, pitch, intonation and rate; clips of a fixed length with the word at a random place, under noise.

The same settings give the same bytes. Three things stood in the way: espeak-ng seeds its noise from the clock (so
`espeak_ng_SetRandSeed` and C's `srand` are called before every word), its filters keep their state from word to word (so
words are spoken in one fixed order), and from call to call (so every call loads its own copy of the library).

**Source:** Warden 2018, Speech Commands, arXiv:1804.03209, for the classes, the format and the layout; deviates in that the
speech is synthetic, that a clip's noise is coloured noise, and that `unknown` and `silence` are as frequent as a command.
"""

import contextlib
import csv
import ctypes
import shutil
import tempfile
from pathlib import Path

import espeakng_loader
import numpy as np
import soundfile
import soxr

from storage.errors import data_error, nearest
from storage.files import atomic, atomic_folder
from storage.schemas import SPLITS

UNKNOWN, SILENCE = "unknown", "silence"
RATE, PITCH, PITCH_RANGE = 1, 3, 4  # espeak_PARAMETER
SYNCHRONOUS, DONT_EXIT, UTF8 = 2, 0x8000, 1
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Synthesizer:
    """espeak-ng with a state of its own; `speak` depends on the words spoken before. Made by `synthesizer()`."""

    def __init__(self, library):
        self.library, self.c, self.pieces = ctypes.CDLL(str(library)), ctypes.CDLL(None), []
        self.library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data, DONT_EXIT)
        if self.sample_rate <= 0:
            raise data_error(
                "espeak-ng",
                "the library must start",
                expected="a sample rate",
                got=f"{self.sample_rate}",
                remedy="reinstall espeakng-loader",
            )
        self.callback = CALLBACK(self._collect)  # kept alive: C holds it too
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, count, events):
        if samples and count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def set_voice(self, language, variant):
        """`en-us`, `f1`: a dialect in a voice. Raises `ValueError` where espeak-ng lacks it."""
        variants = sorted(path.name for path in Path(espeakng_loader.get_data_path(), "voices", "!v").iterdir())
        if variant not in variants or self.library.espeak_SetVoiceByName(f"{language}+{variant}".encode()):
            raise data_error(
                "synthesize_commands",
                "espeak-ng must have the voice",
                expected=f"its languages, and variants {variants}",
                got=f"'{language}' with '{variant}'",
                remedy=f"{nearest(variant, variants)}correct languages or variants",
            )

    def speak(self, word, *, rate, pitch, pitch_range, seed):
        """float32 waveform `[N]` at `sample_rate` Hz; `rate` in words a minute, pitches 0 to 100 of the voice's own range."""
        for parameter, value in ((RATE, rate), (PITCH, pitch), (PITCH_RANGE, pitch_range)):
            self.library.espeak_SetParameter(parameter, round(value), 0)
        self.library.espeak_ng_SetRandSeed(seed)
        self.c.srand(seed)
        self.pieces.clear()
        text = word.encode()
        self.library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, UTF8, None, None)
        samples = np.concatenate([*self.pieces, np.empty(0, np.int16)])
        if not samples.any():
            raise data_error(
                "synthesize_commands",
                "every word must be heard",
                expected="speech",
                got=f"none for '{word}'",
                remedy="correct commands or unknown_words",
            )
        return samples.astype(np.float32) / 32768


@contextlib.contextmanager
def synthesizer():
    """A `Synthesizer` on a fresh copy of the library: the state of a library loaded once would outlive the call."""
    with tempfile.TemporaryDirectory() as folder:
        yield Synthesizer(shutil.copy(espeakng_loader.get_library_path(), folder))


def draw_speakers(*, num_speakers, languages, variants, rate, pitch, pitch_range, seed):
    """Speakers `{split: [{name: "train03f1", language, variant, rate, pitch, pitch_range, rng}]}`.

    `num_speakers`: `{split: number}`; `rate`, `pitch`, `pitch_range`: [lowest, highest] to draw from. The variants are dealt
    out to the splits in proportion, so no voice is in two of them. Raises `ValueError` if they are too few or not different.
    """
    shuffled = list(np.random.default_rng(seed).permutation(variants))
    dev, test = (max(1, len(variants) * num_speakers[split] // sum(num_speakers.values())) for split in SPLITS[1:])
    if len(set(variants)) < len(variants) or dev + test >= len(variants):
        raise data_error(
            "synthesize_commands",
            "every split needs voices of its own",
            expected="three or more different variants",
            got=f"{variants} for {num_speakers} speakers",
            remedy="add variants",
        )
    pools = dict(zip(SPLITS, np.split(shuffled, [-dev - test, -test]), strict=True))
    speakers = {}
    for number, split in enumerate(SPLITS):
        speakers[split] = []
        for index in range(num_speakers[split]):
            rng, variant = np.random.default_rng([seed, number, index]), str(pools[split][index % len(pools[split])])
            drawn = dict(rate=rng.uniform(*rate), pitch=rng.uniform(*pitch), pitch_range=rng.uniform(*pitch_range))
            name, language = f"{split}{index:02d}{variant}", str(rng.choice(languages))
            speakers[split].append(dict(name=name, language=language, variant=variant, rng=rng, **drawn))
    return speakers


def make_clip(speech, *, sample_rate, num_samples, snr_db, peak_db, rng):
    """Clip `[num_samples]`: `speech` `[N]` (empty: silence) at a random place, under noise of a random colour, float32.

    Speech peaks at a level drawn from `peak_db` (of full scale); the noise lies below it by a number of dB drawn from
    `snr_db`, powers being means over the speech. Without speech the noise is as loud as beside speech of a usual crest.
    """
    peak, snr = 10 ** (rng.uniform(*peak_db) / 20), rng.uniform(*snr_db)
    clip = np.zeros(num_samples)
    level = peak / 5  # a crest factor of 14 dB, as speech has
    if len(speech):
        speech = speech[:num_samples] * (peak / np.abs(speech).max())
        level = np.sqrt(np.mean(speech**2))
        start = rng.integers(num_samples - len(speech) + 1)
        clip[start : start + len(speech)] = speech
    noise = coloured_noise(num_samples, exponent=rng.uniform(0, 2), lowest=20 / sample_rate, rng=rng)
    return np.clip(clip + noise * level * 10 ** (-snr / 20), -1, 1).astype(np.float32)


def coloured_noise(num_samples, *, exponent, lowest, rng):
    """Noise `[num_samples]` of power 1 with a spectrum 1/f^exponent (1: pink, 2: brown), flat below `lowest` cycles/sample."""
    frequencies = np.maximum(np.fft.rfftfreq(num_samples), lowest)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(num_samples)) * frequencies ** (-exponent / 2), num_samples)
    return noise / np.sqrt(np.mean(noise**2))


def draw_clips(speaker, count, *, commands, unknown_words):
    """(label, word, index) of a speaker's clips, `count` a class; the word of `silence` is empty."""
    for label in (*commands, UNKNOWN, SILENCE):
        words = speaker["rng"].permutation(unknown_words) if label == UNKNOWN else [label if label != SILENCE else ""]
        for index in range(count):
            yield label, str(words[index % len(words)]), index


def record(synth, speaker, word, *, sample_rate, jitter, **clip):
    """One clip of a speaker: rate and pitch a little off the speaker's own, by up to the fraction `jitter`."""
    rng = speaker["rng"]
    near = {name: speaker[name] * rng.uniform(1 - jitter, 1 + jitter) for name in ("rate", "pitch", "pitch_range")}
    seed = int(rng.integers(1, 2**31 - 1))
    speech = synth.speak(word, seed=seed, **near) if word else np.empty(0, np.float32)
    speech = soxr.resample(speech, synth.sample_rate, sample_rate, quality="HQ")
    return make_clip(speech, sample_rate=sample_rate, rng=rng, **clip)


def write_metadata(path, rows):
    """CSV of path (relative to its folder), split, speaker, label, word."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ("path", "split", "speaker", "label", "word"), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def synthesize_commands(
    *,
    metadata,
    audio,
    languages,
    variants,
    commands,
    unknown_words,
    num_speakers,
    clips_per_class,
    sample_rate,
    clip_seconds,
    rate,
    pitch,
    pitch_range,
    jitter,
    snr_db,
    peak_db,
    seed,
):
    """Writes `audio`/split/label/speaker_word_index.flac (mono, 16 bit) and `metadata`, a CSV for `corpora/table.py`.

    `num_speakers`, `clips_per_class` (of each speaker): `{split: number}`. The other settings are explained in
    config/config.yaml. Raises `ValueError`.
    """
    metadata, audio, rows = Path(metadata), Path(audio), []
    voices = dict(languages=languages, variants=variants, rate=rate, pitch=pitch, pitch_range=pitch_range)
    clip = dict(sample_rate=sample_rate, num_samples=round(clip_seconds * sample_rate), snr_db=snr_db, peak_db=peak_db)
    with synthesizer() as synth, atomic_folder(audio) as folder:
        for split, speakers in draw_speakers(num_speakers=num_speakers, seed=seed, **voices).items():
            for speaker in speakers:
                synth.set_voice(speaker["language"], speaker["variant"])
                for label, word, index in draw_clips(
                    speaker, clips_per_class[split], commands=commands, unknown_words=unknown_words
                ):
                    name = Path(split, label, f"{speaker['name']}_{word or SILENCE}_{index}.flac")
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    waveform = record(synth, speaker, word, jitter=jitter, **clip)
                    soundfile.write(folder / name, waveform, sample_rate, subtype="PCM_16")
                    path = (audio / name).relative_to(metadata.parent).as_posix()
                    rows.append(dict(path=path, split=split, speaker=speaker["name"], label=label, word=word))
    write_metadata(metadata, rows)
