"""Speech synthesized with espeak-ng, without any download, for corpora that are made here.

`synthesize_commands` and `synthesize_intents` share these functions. Speakers differ in voice, dialect, pitch, intonation and
rate. A clip has its speech at a random position, with added noise.

The same calls give the same bytes. Three properties of espeak-ng would prevent this:

* It seeds its noise from the clock. Therefore `espeak_ng_SetRandSeed` and C's `srand` are called before every text.
* Its filters keep their state from text to text. Therefore texts are spoken in a fixed order.
* The state also survives from call to call. Therefore every call loads its own copy of the library.

**Source:** https://github.com/espeak-ng/espeak-ng, whose library the package espeakng-loader contains.
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

ESPEAK_PARAMETERS = dict(rate=1, pitch=3, pitch_range=4)  # values of `espeak_PARAMETER`
SYNCHRONOUS = 2
DONT_EXIT = 0x8000
UTF8 = 1
CREST_FACTOR = 5  # peak / root mean square of the noise in clips without speech: 14 dB, as in speech
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Synthesizer:
    """espeak-ng with its own state, which influences the result of `speak`. Use `synthesizer()` to make one.

    Args:
        library: path of the library. No other `Synthesizer` may use the same file.
        section: section of the config that has the settings, for error messages.
    """

    def __init__(self, library, section):
        self.section = section
        self.library = ctypes.CDLL(str(library))
        self.c_library = ctypes.CDLL(None)
        self.buffers = []
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
        self.callback = CALLBACK(self._collect)  # an attribute, because C still needs it after this call
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, count, events):
        if samples and count > 0:
            self.buffers.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def set_voice(self, language, variant):
        """Choose a dialect such as `en-us` and a voice such as `f1`. Raises `ValueError` if espeak-ng lacks them."""
        variants = sorted(path.name for path in Path(espeakng_loader.get_data_path(), "voices", "!v").iterdir())
        if variant not in variants or self.library.espeak_SetVoiceByName(f"{language}+{variant}".encode()):
            raise data_error(
                self.section,
                "espeak-ng must have the dialect and the voice",
                expected=f"a language of espeak-ng, and one of the variants {variants}",
                got=f"'{language}' with '{variant}'",
                remedy=f"{nearest(variant, variants)}correct languages or variants",
            )

    def speak(self, text, *, rate, pitch, pitch_range, seed):
        """Return the float32 waveform `[N]` of a text at `self.sample_rate` Hz.

        Args:
            text: words to speak.
            rate: words per minute.
            pitch: pitch, from 0 to 100, relative to the range of the voice.
            pitch_range: liveliness of the intonation, from 0 to 100.
            seed: seed of espeak-ng's noise.

        Raises:
            ValueError: if espeak-ng says nothing.
        """
        for name, value in dict(rate=rate, pitch=pitch, pitch_range=pitch_range).items():
            self.library.espeak_SetParameter(ESPEAK_PARAMETERS[name], round(value), 0)
        self.library.espeak_ng_SetRandSeed(seed)
        self.c_library.srand(seed)
        self.buffers.clear()
        encoded = text.encode()
        self.library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, UTF8, None, None)
        samples = np.concatenate([*self.buffers, np.empty(0, np.int16)])
        if not samples.any():
            raise data_error(
                self.section,
                "every text must be heard",
                expected="speech",
                got=f"none for '{text}'",
                remedy=f"correct the section {self.section} in config/presets/corpora.yaml",
            )
        return samples.astype(np.float32) / 32768


@contextlib.contextmanager
def synthesizer(section):
    """Yield a `Synthesizer` on a fresh copy of the library, because the state of the library outlives a call.

    Args:
        section: section of the config that has the settings, for error messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield Synthesizer(shutil.copy(espeakng_loader.get_library_path(), folder), section)


def draw_speakers(*, section, num_speakers, languages, variants, prosody, seed):
    """Draw the speakers of each split.

    Args:
        section: section of the config that has the settings, for error messages.
        num_speakers: dict from each split to its number of speakers.
        languages: dialects to draw from.
        variants: voices. They are divided among the splits in proportion to `num_speakers`, so no voice is in two splits.
        prosody: dict from `rate`, `pitch` and `pitch_range` to the [lowest, highest] value to draw.
        seed: seed of all draws.

    Returns:
        A dict from each split to a list of speakers. A speaker is a dict with `name` (such as `train03f1`), `language`,
        `variant`, `rate`, `pitch`, `pitch_range` and `rng`.

    Raises:
        ValueError: if a voice occurs twice in `variants`, or there are too few voices for all splits.
    """
    shuffled = list(np.random.default_rng(seed).permutation(variants))
    num_variants = len(variants)
    num_speakers_in_all = sum(num_speakers.values())
    num_dev = max(1, num_variants * num_speakers["dev"] // num_speakers_in_all)
    num_test = max(1, num_variants * num_speakers["test"] // num_speakers_in_all)
    if len(set(variants)) < num_variants or num_dev + num_test >= num_variants:
        raise data_error(
            section,
            "every split needs voices of its own",
            expected="three or more different variants",
            got=f"{variants} for {num_speakers} speakers",
            remedy="add variants",
        )
    variants_of_split = dict(zip(SPLITS, np.split(shuffled, [-num_dev - num_test, -num_test]), strict=True))
    speakers = {split: [] for split in SPLITS}
    for split_number, split in enumerate(SPLITS):
        pool = variants_of_split[split]
        for index in range(num_speakers[split]):
            rng = np.random.default_rng([seed, split_number, index])
            variant = str(pool[index % len(pool)])
            name = f"{split}{index:02d}{variant}"
            speakers[split].append(draw_speaker(name, variant, languages=languages, prosody=prosody, rng=rng))
    return speakers


def draw_speaker(name, variant, *, languages, prosody, rng):
    """Draw the dialect and the prosody of one speaker.

    Args:
        name: name of the speaker.
        variant: voice of the speaker.
        languages, prosody: as for `draw_speakers`.
        rng: `numpy.random.Generator` of the draws.

    Returns:
        A speaker as `draw_speakers` returns it.
    """
    drawn = {parameter: rng.uniform(*prosody[parameter]) for parameter in ESPEAK_PARAMETERS}
    language = str(rng.choice(languages))
    return dict(name=name, language=language, variant=variant, rng=rng, **drawn)


def draw_speech(synth, speaker, text, *, jitter, sample_rate):
    """Return the float32 waveform `[N]` in which a speaker says `text`; it is empty if the text is.

    Args:
        synth: a `Synthesizer` that is set to the speaker's voice.
        speaker: a speaker of `draw_speakers`, whose generator draws the prosody and the seed of espeak-ng.
        text: words to say.
        jitter: largest relative difference of the prosody from that of the speaker.
        sample_rate: rate of the waveform in Hz.

    Raises:
        ValueError: if espeak-ng says nothing.
    """
    rng = speaker["rng"]
    prosody = {name: speaker[name] * rng.uniform(1 - jitter, 1 + jitter) for name in ESPEAK_PARAMETERS}
    seed = int(rng.integers(1, 2**31 - 1))
    speech = synth.speak(text, seed=seed, **prosody) if text else np.empty(0, np.float32)
    return soxr.resample(speech, synth.sample_rate, sample_rate, quality="HQ")


def make_clip(speech, *, sample_rate, num_samples, snr_db, peak_db, rng, start=None):
    """Place speech in a clip, and add noise of a random colour.

    Args:
        speech: waveform `[N]`; empty for a clip of noise. If it is longer than the clip, its end is cut off.
        sample_rate: its rate in Hz.
        num_samples: number of samples of the clip.
        snr_db: [lowest, highest] ratio in dB of the mean power of the speech to that of the noise.
        peak_db: [lowest, highest] peak of the speech in dB relative to full scale.
        rng: `numpy.random.Generator` of all draws.
        start: sample at which the speech begins; None draws a position at which no more of it is cut off.

    Returns:
        float32 array `[num_samples]`. Without speech, the noise is as loud as it would be with speech of the usual crest factor.
    """
    peak = 10 ** (rng.uniform(*peak_db) / 20)
    snr = rng.uniform(*snr_db)
    clip = np.zeros(num_samples)
    level = peak / CREST_FACTOR
    if len(speech):
        speech = speech[:num_samples] * (peak / np.abs(speech).max())
        level = np.sqrt(np.mean(speech**2))
        start = rng.integers(num_samples - len(speech) + 1) if start is None else start
        clip[start : start + len(speech)] = speech
    noise = coloured_noise(num_samples, exponent=rng.uniform(0, 2), lowest=20 / sample_rate, rng=rng)
    return np.clip(clip + noise * level * 10 ** (-snr / 20), -1, 1).astype(np.float32)


def coloured_noise(num_samples, *, exponent, lowest, rng):
    """Return noise `[num_samples]` of mean power 1 with the power spectrum 1/f^exponent.

    Args:
        num_samples: number of samples.
        exponent: 0 for white, 1 for pink, 2 for brown noise, or a number in between.
        lowest: frequency in cycles per sample, below which the spectrum is flat.
        rng: `numpy.random.Generator`.
    """
    frequencies = np.maximum(np.fft.rfftfreq(num_samples), lowest)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(num_samples)) * frequencies ** (-exponent / 2), num_samples)
    return noise / np.sqrt(np.mean(noise**2))


def write_clips(clips, *, metadata, audio, sample_rate):
    """Write the audio of a corpus (mono, 16 bit), and its metadata for the adapter `table`.

    Args:
        clips: iterator over (name, waveform, cells) of each clip: the path of the file below `audio`, float32 samples `[N]`, and
            a dict with the cells of its row of the metadata, such as split, speaker and labels.
        metadata: CSV file to write. Its columns are path (relative to the folder of the file) and the keys of `cells`.
        audio: folder to write.
        sample_rate: rate of the waveforms in Hz.
    """
    metadata = Path(metadata)
    audio = Path(audio)
    rows = []
    with atomic_folder(audio) as folder:
        for name, waveform, cells in clips:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name, waveform, sample_rate, subtype="PCM_16")
            rows.append(dict(path=(audio / name).relative_to(metadata.parent).as_posix(), **cells))
    with atomic(metadata) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
