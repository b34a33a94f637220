"""A prompted unit LM that labels recordings or units: what `Recognizer` runs for the tasks of config/tasks.tsv."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from inference.recognition import Answer, Recognition
from speech2unit import encoders
from speech2unit.corpora.audio import BadAudio
from speech2unit.quantize import Projection
from speech2unit.runs import collapse_runs
from speech2unit.unit_encoder import EncodedUnits, UnitEncoder
from training.device import cast_frozen, mixed_precision
from ulm.answers import ListedAnswers, OpenAnswers
from ulm.data import length_batches
from ulm.decode_answers import Variants, decode_answers
from ulm.tuned import load_tuned

MAX_UNITS = 8_192  # of one recording at most, several minutes of speech: the memory of attention grows with their square


class PromptModel:
    """Encoder, codebook and prompted unit LM of a bundle; see `Recognizer`."""

    max_seconds = 3_600  # of one recording: the features of one layer are in memory

    def __init__(self, folder, description, task, device, seed):
        self.device = device
        self.codebook = description["codebook"]
        self.unit_encoder = _load_unit_encoder(Path(folder), self.codebook, device) if description["encoder"] else None
        self.sample_rate = self.unit_encoder.sample_rate if self.unit_encoder else None
        self.pieces = _load_pieces(Path(folder), task)
        self.symbols = task["symbols"]
        self.index_of = {unit: index for index, unit in enumerate(task["units"]) if unit is not None}
        self.answers = _answers(task["answers"])
        self.decoding = task["decoding"]
        self.variants = Variants(**task["test_time_augmentation"], table=_substitutes(Path(folder)))
        by_seed = load_tuned(
            Path(folder) / "tuned.safetensors",
            Path(folder) / "unit_lm/model.safetensors",
            Path(folder) / "unit_lm/config.json",
            scope=task["scope"],
            answers=task["answer_tokens"],
            device=device,
            seeds=[seed],
        )
        self.tuned = by_seed[seed]
        num_others = 1 + self.tuned.prompt.num_positions + self.answers.max_steps  # </s>, prompt and answer
        self.max_units = min(MAX_UNITS, self.tuned.lm.max_positions - num_others)
        cast_frozen(self.tuned.lm, device)

    def check_units(self, units):
        """Return units as `EncodedUnits`, runs collapsed. Raises `BadAudio` if they are no units of the codebook."""
        values = np.asarray(units)
        if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu":
            raise BadAudio("units", "not_units", f"{type(units).__name__}, not an array of whole numbers")
        num_units = self.codebook["num_units"]
        wrong = values[(values < 0) | (values >= num_units)]
        if len(wrong):
            raise BadAudio("units", "not_units", f"{wrong[:3].tolist()} are no units of the codebook: 0 to {num_units - 1}")
        reduced, durations = collapse_runs(values)
        return EncodedUnits(reduced, durations, values, None)

    def recognize(self, items, names, num_best):
        """Return one `Recognition` or `BadAudio` per item.

        Args:
            items: waveforms `[N]` at `sample_rate`, or results of `check_units`.
            names: utterance_id of each; it decides the random variants of test-time augmentation and nothing else.
            num_best: number of answers in `Recognition.n_best`.
        """
        results = self.unit_encoder.encode_waveforms(items) if self.unit_encoder else list(items)
        for position, encoded in enumerate(results):
            if len(encoded.units) > self.max_units:
                detail = f"{len(encoded.units)} units, at most {self.max_units}: cut the recording into utterances"
                results[position] = BadAudio(names[position], "too_long", detail)
        usable = [position for position, encoded in enumerate(results) if not isinstance(encoded, BadAudio)]
        tokens = {position: self._tokens(results[position]) for position in usable}
        max_tokens = self.decoding["max_tokens"] // max(self.decoding["beam_size"], num_best) // self.variants.sources_per_row
        for batch in length_batches([len(tokens[position]) for position in usable], max_tokens):
            positions = [usable[i] for i in batch]
            sources = [source for i in positions for source in self.variants(tokens[i], names[i])]
            for position, answer in zip(positions, self.decode(sources, num_best)):
                seconds = len(items[position]) / self.sample_rate if self.unit_encoder else None
                results[position] = self._recognition(answer, results[position], seconds)
        return results

    def _tokens(self, encoded):
        """Return the vocabulary indices `[N]` that the unit LM reads."""
        units = self.pieces.encode(encoded.units) if self.pieces else encoded.units
        return np.array([self.index_of[unit] for unit in units])

    @torch.no_grad()
    def decode(self, sources, num_best):
        """Return the `DecodedAnswer` of each row; `sources`: its tokens and their variants, one row after another."""
        settings = {name: self.decoding[name] for name in ("beam_size", "length_penalty")}
        with mixed_precision(self.device):
            return decode_answers(
                self.tuned,
                self.answers,
                sources,
                sources_per_row=self.variants.sources_per_row,
                num_best=num_best,
                **settings,
            )

    def _recognition(self, answer, encoded, seconds):
        return Recognition(
            labels=tuple(answer.labels),
            score=answer.score,
            n_best=tuple(Answer(tuple(labels), score) for labels, score in answer.n_best if labels is not None),
            free_labels=None if answer.free_labels is None else tuple(answer.free_labels),
            free_units=tuple(self.symbols[token] for token in answer.free_tokens),
            units=encoded.units,
            durations=encoded.durations,
            frame_seconds=encoded.frame_seconds,
            seconds=seconds,
        )


def _load_unit_encoder(folder, codebook, device):
    """Return the `UnitEncoder` of a bundle."""
    tensors = load_file(folder / "codebook.safetensors")
    project = Projection(codebook["context_frames"], [])
    if "matrix" in tensors:
        project.matrix = tensors["matrix"].numpy()
        project.offset = tensors["offset"].numpy()
    encoder = encoders.load(folder / "encoder", device)
    centroids = tensors["centroids"].numpy()
    return UnitEncoder(encoder, codebook["layer"], project, centroids, in_batches=device.type != "cpu")


def _load_pieces(folder, task):
    """Return the `Pieces` of a unit LM that reads acoustic BPE, or None."""
    if not task["pieces"]:
        return None
    from ulm.pieces import Pieces

    model = load_file(folder / "pieces.safetensors")["sentencepiece"].numpy().tobytes()
    return Pieces(model, [dict(piece=piece, units=units) for piece, units in enumerate(task["pieces"])])


def _answers(answers):
    """Return the `ListedAnswers` or `OpenAnswers` that task.json describes."""
    if answers["open"]:
        return OpenAnswers(dict(answers["label_tokens"]), answers["max_labels"])
    return ListedAnswers.of({tuple(tokens): labels for tokens, labels in answers["sequences"]})


def _substitutes(folder):
    """Return the table of test-time augmentation (see `substitution_table`), or None."""
    path = folder / "substitutes.safetensors"
    return load_file(path)["table"].numpy() if path.is_file() else None
