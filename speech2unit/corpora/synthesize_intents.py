"""Synthesize a corpus of spoken intents with espeak-ng, similar to Fluent Speech Commands, without any download.

An intent is an action, an object and a location, and has several wordings. Every speaker says every intent once, in a wording
that is drawn. The length of a clip follows the sentence. `speech2unit.corpora.synthesizer` says how speakers differ, and why the
same settings give the same bytes.

**Source:** Lugosch et al. 2019, Speech Model Pre-training for End-to-End Spoken Language Understanding, arXiv:1904.03670, for the
slots and their values. Deviations: the speech is synthetic, and the wordings are not those of the authors.
"""

import itertools
import re
from pathlib import Path

from speech2unit.corpora.synthesizer import draw_speakers, draw_speech, make_clip, synthesizer, write_clips
from storage.errors import data_error, nearest

SECTION = "synthesize_intents"  # of the config
SLOTS = ("action", "object", "location")
NONE = "none"  # the value of an empty slot in the settings
PLACEHOLDER = re.compile(r"\{(.*?)\}")
INNERMOST_GROUP = re.compile(r"\(([^()]*)\)")


def expand_alternatives(text):
    """Return all texts that a text with alternatives stands for, without repetitions.

    `(turn|switch) on the (|red) lamp` stands for four texts, beginning with `turn on the lamp`. Groups may be nested.
    """
    group = INNERMOST_GROUP.search(text)
    if not group:
        return [" ".join(text.split())]
    before, options, after = text[: group.start()], group[1].split("|"), text[group.end() :]
    return list(dict.fromkeys(text for option in options for text in expand_alternatives(before + option + after)))


def expand_wording(wording, said):
    """Return the sentences that a wording stands for.

    Args:
        wording: text with alternatives, in which `{object}` stands for what is said for this slot.
        said: dict from each slot to what is said for its value, a text with alternatives; None if nothing can be said.

    Raises:
        ValueError: if the wording names an unknown slot or an empty one, or if a sentence has no words or an unpaired bracket.
    """
    for slot in PLACEHOLDER.findall(wording):
        if said.get(slot) is None:
            filled = [name for name in SLOTS if said[name] is not None]
            raise _error(
                "a wording names slots of its intent",
                expected=f"{{slot}} with one of {filled}",
                got=f"'{{{slot}}}' in '{wording}'",
                remedy=f"{nearest(slot, filled)}correct the wording",
            )
    sentences = expand_alternatives(PLACEHOLDER.sub(lambda placeholder: said[placeholder[1]], wording))
    for sentence in sentences:
        if not re.search(r"\w", sentence) or re.search(r"[(){}|]", sentence):
            raise _error(
                "a wording is a sentence",
                expected="words, and pairs of brackets around alternatives",
                got=f"'{sentence}' from '{wording}'",
                remedy="correct the wording",
            )
    return sentences


def expand_intents(entries):
    """Return a dict from the labels of each intent, such as `("activate", "lamp", "no location")`, to its sentences.

    The label of an empty slot names the slot, so that no label belongs to two slots.

    Args:
        entries: see `intents` of `synthesize_intents`. The sentences of entries with the same intent are put together.

    Raises:
        ValueError: if a wording is wrong, see `expand_wording`, or if two intents have the same sentence.
    """
    sentences_of = {}
    intent_of = {}
    for entry in entries:
        for values in itertools.product(*(_said_values(entry[slot]).items() for slot in SLOTS)):
            said = {slot: words for slot, (_, words) in zip(SLOTS, values)}
            intent = tuple(f"no {slot}" if value == NONE else value for slot, (value, _) in zip(SLOTS, values))
            for wording in entry["wordings"]:
                for sentence in expand_wording(wording, said):
                    other = intent_of.setdefault(sentence.casefold(), intent)
                    if other != intent:
                        raise _error(
                            "a sentence has one intent",
                            expected=f"'{sentence}' for {other} alone",
                            got=f"it for {intent} too",
                            remedy="change a wording of one of the two",
                        )
                    sentences_of.setdefault(intent, {})[sentence] = None
    return {intent: list(sentences) for intent, sentences in sentences_of.items()}


def _said_values(values):
    """Return a dict from each value of a slot to what is said for it; None for an empty slot without words."""
    return values if isinstance(values, dict) else {values: None if values == NONE else values}


def _error(rule, *, expected, got, remedy):
    """Return the error about a wrong wording."""
    remedy = f"{remedy} in the section {SECTION} of config/presets/corpora.yaml"
    return data_error(f"{SECTION}.intents", rule, expected=expected, got=got, remedy=remedy)


def record_sentence(synth, speaker, sentence, *, jitter, clip):
    """Return a clip `[N]` in which a speaker says a whole sentence.

    Args:
        synth: a `Synthesizer` that is set to the speaker's voice.
        speaker: a speaker of `draw_speakers`.
        sentence: the words to say.
        jitter: largest relative difference of the clip's prosody from that of the speaker.
        clip: see `synthesize_intents`.
    """
    rng = speaker["rng"]
    sample_rate = clip["sample_rate"]
    speech = draw_speech(synth, speaker, sentence, jitter=jitter, sample_rate=sample_rate)
    before, after = (round(seconds * sample_rate) for seconds in rng.uniform(*clip["margin_seconds"], 2))
    return make_clip(
        speech,
        sample_rate=sample_rate,
        num_samples=before + len(speech) + after,
        snr_db=clip["snr_db"],
        peak_db=clip["peak_db"],
        rng=rng,
        start=before,
    )


def record_clips(synth, speakers_of, sentences_of, *, jitter, clip):
    """Yield (name, waveform, cells) of each clip, as `write_clips` takes them.

    Args:
        synth: a fresh `Synthesizer`.
        speakers_of: dict from each split to its speakers, see `draw_speakers`.
        sentences_of: dict from each intent to its sentences, see `expand_intents`.
        jitter, clip: as for `record_sentence`.
    """
    for split, speakers in speakers_of.items():
        for speaker in speakers:
            synth.set_voice(speaker["language"], speaker["variant"])
            for number, (intent, sentences) in enumerate(sentences_of.items()):
                sentence = sentences[speaker["rng"].integers(len(sentences))]
                waveform = record_sentence(synth, speaker, sentence, jitter=jitter, clip=clip)
                cells = dict(split=split, speaker=speaker["name"], **dict(zip(SLOTS, intent)), transcription=sentence)
                yield Path(split, f"{speaker['name']}_{number:02d}.flac"), waveform, cells


def synthesize_intents(*, metadata, audio, languages, variants, intents, num_speakers, prosody, clip, seed):
    """Stage: write the audio of the corpus (mono, 16 bit), and its metadata for the adapter `table`.

    Args:
        metadata: CSV file to write, with columns path, split, speaker, action, object, location and transcription.
        audio: folder to write, with files `split/speaker_number.flac`; the number is that of the intent.
        languages: dialects of the speakers.
        variants: voices of the speakers.
        intents: list of dicts, each of which stands for one or several intents:
            action, object, location: value of the slot, `none` if it is empty. A dict from values to what is said for them
                stands for one intent for each value.
            wordings: list of texts with alternatives, such as `(turn|switch) on the {object}`, in which a slot in braces stands
                for what is said for its value.
        num_speakers: dict from each split to its number of speakers.
        prosody: the prosody of the speakers:
            rate, pitch, pitch_range: [lowest, highest] value, see `Synthesizer.speak`.
            jitter: largest relative difference of a clip's prosody from that of its speaker.
        clip: the clips:
            sample_rate: sample rate in Hz.
            margin_seconds: [shortest, longest] time before the sentence, and after it.
            snr_db: [lowest, highest] ratio of speech to noise in dB.
            peak_db: [lowest, highest] peak of the speech in dB relative to full scale.
        seed: seed of all draws.

    Raises:
        ValueError: if a wording is wrong, if two intents have the same sentence, if espeak-ng lacks a voice or says nothing, or
            if there are too few voices.
    """
    sentences_of = expand_intents(intents)
    speakers_of = draw_speakers(
        section=SECTION, num_speakers=num_speakers, languages=languages, variants=variants, prosody=prosody, seed=seed
    )
    with synthesizer(SECTION) as synth:
        clips = record_clips(synth, speakers_of, sentences_of, jitter=prosody["jitter"], clip=clip)
        write_clips(clips, metadata=metadata, audio=audio, sample_rate=clip["sample_rate"])
