"""Synthesize a corpus of speech commands with espeak-ng, similar to Google Speech Commands, without any download.

The corpus has any number of command words, a class `unknown` of other words, and a class `silence` of noise. Clips have a fixed
length. `speech2unit.corpora.synthesizer` says how speakers differ, and why the same settings give the same bytes.

**Source:** Warden 2018, Speech Commands, arXiv:1804.03209, for the classes, the format and the layout. Deviations: the speech is
synthetic, the noise of a clip is coloured noise, and `unknown` and `silence` are as frequent as a command.
"""

from pathlib import Path

from speech2unit.corpora.synthesizer import draw_speakers, draw_speech, make_clip, synthesizer, write_clips

SECTION = "synthesize_commands"  # of the config
UNKNOWN = "unknown"
SILENCE = "silence"


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


def record_clips(synth, speakers_of, *, commands, unknown_words, clips_per_class, jitter, clip):
    """Yield (name, waveform, cells) of each clip, as `write_clips` takes them.

    Args:
        synth: a fresh `Synthesizer`.
        speakers_of: dict from each split to its speakers, see `draw_speakers`.
        commands, unknown_words, clips_per_class, clip: as for `synthesize_commands`.
        jitter: largest relative difference of a clip's prosody from that of its speaker.
    """
    sample_rate = clip["sample_rate"]
    levels = dict(snr_db=clip["snr_db"], peak_db=clip["peak_db"])
    num_samples = round(clip["seconds"] * sample_rate)
    for split, speakers in speakers_of.items():
        for speaker in speakers:
            synth.set_voice(speaker["language"], speaker["variant"])
            words = draw_words(speaker, clips_per_class[split], commands=commands, unknown_words=unknown_words)
            for label, word, index in words:
                speech = draw_speech(synth, speaker, word, jitter=jitter, sample_rate=sample_rate)
                waveform = make_clip(speech, sample_rate=sample_rate, num_samples=num_samples, rng=speaker["rng"], **levels)
                name = Path(split, label, f"{speaker['name']}_{word or SILENCE}_{index}.flac")
                yield name, waveform, dict(split=split, speaker=speaker["name"], label=label, word=word)


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
    speakers_of = draw_speakers(
        section=SECTION, num_speakers=num_speakers, languages=languages, variants=variants, prosody=prosody, seed=seed
    )
    settings = dict(commands=commands, unknown_words=unknown_words, clips_per_class=clips_per_class, clip=clip)
    with synthesizer(SECTION) as synth:
        clips = record_clips(synth, speakers_of, jitter=prosody["jitter"], **settings)
        write_clips(clips, metadata=metadata, audio=audio, sample_rate=clip["sample_rate"])
