"""A tuned encoder with a head that labels recordings: what `Recognizer` runs for the tasks of config/superb_tasks.tsv."""

import math
from itertools import product
from pathlib import Path

import torch
from safetensors.torch import load_file

from inference.recognition import Answer, Recognition
from superb.labels import SEQUENCES, labels_of, num_outputs
from superb.model import build_model, restore, tensors_of_seed

MAX_COMBINATIONS = 1_000  # of the classes of several slots, for the n best


class EncoderModel:
    """A `TaskModel` from a bundle; see `Recognizer`."""

    max_seconds = 300  # of one recording: the hidden states of all layers are in memory

    def __init__(self, folder, description, task, device, seed):
        self.kind = task["kind"]
        self.slots = task["classes"]
        self.model = build_model(
            Path(folder) / "encoder", tuning=task["tuning"], head=task["head"], num_outputs=num_outputs(self.slots)
        ).to(device)
        restore(self.model, tensors_of_seed(load_file(Path(folder) / "tuned.safetensors"), seed))
        self.sample_rate = self.model.trunk.sample_rate
        self.unit_encoder = None

    def recognize(self, items, names, num_best):
        """Return one `Recognition` per waveform `[N]`; arguments as `PromptModel.recognize`."""
        return self._recognitions(items, num_best) if items else []

    @torch.no_grad()
    def _recognitions(self, waveforms, num_best):
        """Return a `Recognition` for each waveform of a batch."""
        logits, lengths = self.model([torch.as_tensor(waveform) for waveform in waveforms])
        answers = [labels_of(answer, self.slots, self.kind) for answer in self.model.head.answers(logits, lengths)]
        is_class = self.kind != "SD" and self.kind not in SEQUENCES
        recognitions = []
        for position, (waveform, labels) in enumerate(zip(waveforms, answers)):
            n_best = self._n_best(logits[position], max(num_best, 1)) if is_class else []
            recognitions.append(
                Recognition(
                    labels=tuple(labels),
                    score=n_best[0].score if n_best else None,
                    n_best=tuple(n_best[:num_best]),
                    seconds=len(waveform) / self.sample_rate,
                )
            )
        return recognitions

    def _n_best(self, logits, num_best):
        """Return the most probable `Answer`s for logits `[sum of classes]`, those of all slots one after another."""
        slots = [part.double().log_softmax(-1) for part in logits.split(num_outputs(self.slots))]
        num_per_slot = max(1, min(num_best, math.floor(MAX_COMBINATIONS ** (1 / len(slots)))))
        best = [part.topk(min(num_per_slot, len(part))) for part in slots]
        answers = []
        for choice in product(*(range(len(part.values)) for part in best)):
            score = sum(float(part.values[i]) for part, i in zip(best, choice))
            labels = tuple(slot[int(part.indices[i])] for slot, part, i in zip(self.slots, best, choice))
            answers.append(Answer(labels, score))
        return sorted(answers, key=lambda answer: -answer.score)[:num_best]
