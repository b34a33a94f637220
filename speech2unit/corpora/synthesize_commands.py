"""Synthesize a corpus of speech commands with espeak-ng, similar to Google Speech Commands, without any download.

The corpus has any number of command words, a class `unknown` of other words, and a class `silence` of noise. Speakers differ in
voice, dialect, pitch, intonation and rate. Clips have a fixed length, with the word at a random position and added noise.

The same settings give the same bytes. Three properties of espeak-ng would prevent this:

* It seeds its noise from the clock. Therefore `espeak_ng_SetRandSeed` and C's `srand` are called before every word.
* Its filters keep their state from word to word. Therefore words are spoken in a fixed order.
* The state also survives from call to call. Therefore every call loads its own copy of the library.

**Source:** Warden 2018, Speech Commands, arXiv:1804.03209, for the classes, the format and the layout. Deviations: the speech is
synthetic, the noise of a clip is coloured noise, and `unknown` and `silence` are as frequent as a command.
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

UNKNOWN = "unknown"
SILENCE = "silence"
ESPEAK_PARAMETERS = dict(rate=1, pitch=3, pitch_range=4)  # values of `espeak_PARAMETER`
SYNCHRONOUS = 2
DONT_EXIT = 0x8000
UTF8 = 1
CREST_FACTOR = 5  # peak / root mean square of the noise in clips without speech: 14 dB, as in speech
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Synthesizer:
    """espeak-ng with its own state, which influences the result of `speak`. Use `synthesizer()` to make one."""

    def __init__(self, library):
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
                "synthesize_commands",
                "espeak-ng must have the dialect and the voice",
                expected=f"a language of espeak-ng, and one of the variants {variants}",
                got=f"'{language}' with '{variant}'",
                remedy=f"{nearest(variant, variants)}correct languages or variants",
            )

    def speak(self, word, *, rate, pitch, pitch_range, seed):
        """Return the float32 waveform `[N]` of a word at `self.sample_rate` Hz.

        Args:
            word: text to speak.
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
        text = word.encode()
        self.library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, UTF8, None, None)
        samples = np.concatenate([*self.buffers, np.empty(0, np.int16)])
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
    """Yield a `Synthesizer` on a fresh copy of the library, because the state of the library outlives a call."""
    with tempfile.TemporaryDirectory() as folder:
        yield Synthesizer(shutil.copy(espeakng_loader.get_library_path(), folder))


def draw_speakers(*, num_speakers, languages, variants, prosody, seed):
    """Draw the speakers of each split.

    Args:
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
            "synthesize_commands",
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


def make_clip(speech, *, sample_rate, num_samples, snr_db, peak_db, rng):
    """Place speech at a random position in a clip, and add noise of a random colour.

    Args:
        speech: waveform `[N]`; empty for a clip of the class `silence`. If it is longer than the clip, its end is cut off.
        sample_rate: its rate in Hz.
        num_samples: number of samples of the clip.
        snr_db: [lowest, highest] ratio in dB of the mean power of the speech to that of the noise.
        peak_db: [lowest, highest] peak of the speech in dB relative to full scale.
        rng: `numpy.random.Generator` of all draws.

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
        start = rng.integers(num_samples - len(speech) + 1)
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


def draw_words(speaker, num_clips, *, commands, unknown_words):
    """Yield (label, word, index) for each clip of a speaker. The word of class `silence` is empty.

    Args:
        speaker: a speaker of `draw_speakers`.
        num_clips: number of clips of each class.
        commands: words that are classes.
        unknown_words: words of the class `unknown`, from which its clips are drawn.
    """
    for label in (*commands, UNKNOWN, SILENCE):
        words = [label]
        if label == UNKNOWN:
            words = speaker["rng"].permutation(unknown_words)
        elif label == SILENCE:
            words = [""]
        for index in range(num_clips):
            yield label, str(words[index % len(words)]), index


def record_clip(synth, speaker, word, *, jitter, clip):
    """Return a clip `[N]` in which a speaker says `word`, or a clip of noise if the word is empty.

    Args:
        synth: a `Synthesizer` that is set to the speaker's voice.
        speaker: a speaker of `draw_speakers`.
        word: the word to say.
        jitter: largest relative difference of the clip's prosody from that of the speaker.
        clip: dict with `sample_rate` (Hz), `seconds` (length of the clip), and `snr_db` and `peak_db` of `make_clip`.
    """
    rng = speaker["rng"]
    prosody = {name: speaker[name] * rng.uniform(1 - jitter, 1 + jitter) for name in ESPEAK_PARAMETERS}
    seed = int(rng.integers(1, 2**31 - 1))
    speech = synth.speak(word, seed=seed, **prosody) if word else np.empty(0, np.float32)
    sample_rate = clip["sample_rate"]
    speech = soxr.resample(speech, synth.sample_rate, sample_rate, quality="HQ")
    return make_clip(
        speech,
        sample_rate=sample_rate,
        num_samples=round(clip["seconds"] * sample_rate),
        snr_db=clip["snr_db"],
        peak_db=clip["peak_db"],
        rng=rng,
    )


def write_metadata(path, rows):
    """Write a CSV file with the columns path (relative to the folder of the file), split, speaker, label and word."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ("path", "split", "speaker", "label", "word"), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def synthesize_commands(
    *, metadata, audio, languages, variants, commands, unknown_words, num_speakers, clips_per_class, prosody, clip, seed
):
    """Stage: write the audio of the corpus (mono, 16 bit), and its metadata for the adapter `table`.

    Args:
        metadata: CSV file to write.
        audio: folder to write, with files `split/label/speaker_word_index.flac`.
        languages: dialects of the speakers.
        variants: voices of the speakers.
        commands: words that are classes.
        unknown_words: words of the class `unknown`.
        num_speakers: dict from each split to its number of speakers.
        clips_per_class: dict from each split to the number of clips of each class by each speaker.
        prosody: the prosody of the speakers:
            rate, pitch, pitch_range: [lowest, highest] value, see `Synthesizer.speak`.
            jitter: largest relative difference of a clip's prosody from that of its speaker.
        clip: the clips:
            sample_rate: sample rate in Hz.
            seconds: length of a clip.
            snr_db: [lowest, highest] ratio of speech to noise in dB.
            peak_db: [lowest, highest] peak of the speech in dB relative to full scale.
        seed: seed of all draws.

    Raises:
        ValueError: if espeak-ng lacks a voice or says nothing, or if there are too few voices.
    """
    metadata = Path(metadata)
    audio = Path(audio)
    speakers_of = draw_speakers(num_speakers=num_speakers, languages=languages, variants=variants, prosody=prosody, seed=seed)
    rows = []
    with synthesizer() as synth, atomic_folder(audio) as folder:
        for split, speakers in speakers_of.items():
            for speaker in speakers:
                synth.set_voice(speaker["language"], speaker["variant"])
                words = draw_words(speaker, clips_per_class[split], commands=commands, unknown_words=unknown_words)
                for label, word, index in words:
                    waveform = record_clip(synth, speaker, word, jitter=prosody["jitter"], clip=clip)
                    name = Path(split, label, f"{speaker['name']}_{word or SILENCE}_{index}.flac")
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    soundfile.write(folder / name, waveform, clip["sample_rate"], subtype="PCM_16")
                    path = (audio / name).relative_to(metadata.parent).as_posix()
                    rows.append(dict(path=path, split=split, speaker=speaker["name"], label=label, word=word))
    write_metadata(metadata, rows)
