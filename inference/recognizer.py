"""`Recognizer`: a bundle, loaded, that labels recordings."""

import os
from itertools import islice
from pathlib import Path

from inference.bundle_files import read_bundle
from speech2unit.corpora.audio import BadAudio, as_waveform, place_of
from storage.errors import data_error

DEFAULT_NUM_BEST = 5


class Recognizer:
    """A trained task that labels recordings. Make one with `Recognizer.load`.

    Attributes:
        task: name of the task.
        kind: `prompt` (a prompted unit LM) or `encoder` (a tuned encoder with a head).
        input_kind: `audio` or `units`.
        answer_kind: `class`, `sequence` or `segments`.
        labels: every label that it can answer with.
        seed: seed of the tuned parameters that answer.
        sample_rate: Hz to which audio is resampled; None for units.
        description: content of bundle.json.
    """

    def __init__(self, model, description, seed):
        self.model = model
        self.description = description
        self.seed = seed
        self.task = description["task"]
        self.kind = description["kind"]
        self.input_kind = description["input_kind"]
        self.answer_kind = description["answer_kind"]
        self.labels = description["labels"]
        self.sample_rate = model.sample_rate

    @classmethod
    def load(cls, folder, device=None, seed=None):
        """Load a bundle. Every file is checked against its hash first.

        Args:
            folder: a bundle, such as `results/SCR/bundle`.
            device: where to compute, such as `cpu` or `cuda:1`; None: a GPU if there is one, else the CPU.
            seed: seed of the tuned parameters; None: the seed that was best on the dev split.

        Raises:
            ValueError: if the folder is no bundle, a file is damaged, or there is no such seed.
        """
        # As in workflow/scripts/stage.py: MKL chooses its kernels independently of the alignment of memory.
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
        description, task = read_bundle(folder)
        import torch

        from training.device import choose_device

        seeds = description["seeds"]
        if seed is None:
            seed = description["best_seed"]
        if seed not in seeds:
            raise data_error(
                folder, "the bundle must have the seed", expected=f"one of {seeds}", got=f"{seed}", remedy="choose another seed"
            )
        device = choose_device() if device is None else torch.device(device)
        if description["kind"] == "prompt":
            from inference.prompt_model import PromptModel as Model
        else:
            from inference.encoder_model import EncoderModel as Model
        return cls(Model(Path(folder), description, task, device, seed), description, seed)

    def __call__(self, inputs, batch_size=32, num_best=DEFAULT_NUM_BEST):
        """Return the `Recognition` of one input, or a list of them for a list.

        Args:
            inputs: a path, a binary file object, a tuple (float array `[N]` or `[N, channels]`, rate in Hz), or a list of these.
                For bundles that take units: an integer array `[N]` or a tuple of integers, or a list of these.
            batch_size: inputs that are computed together.
            num_best: number of answers in `Recognition.n_best`.

        Raises:
            ValueError: at the first input that cannot be used (`BadAudio`, with `reason` and `detail`).
        """
        is_list = isinstance(inputs, list)
        results = []
        for result in self.stream(inputs if is_list else [inputs], batch_size, num_best):
            if isinstance(result, BadAudio):
                raise result
            results.append(result)
        return results if is_list else results[0]

    def stream(self, inputs, batch_size=32, num_best=DEFAULT_NUM_BEST, names=None):
        """Yield a `Recognition` for each input in order, or the `BadAudio` error of an input that cannot be used.

        Args:
            inputs: iterable of inputs, see `__call__`. It is read `batch_size` at a time.
            batch_size, num_best: see `__call__`.
            names: iterable with the utterance_id of each input, which decides the random variants of test-time augmentation;
                None: the names of the files without their extension.
        """
        named = zip(inputs, names) if names is not None else ((item, _name_of(item)) for item in inputs)
        named = iter(named)
        while batch := list(islice(named, batch_size)):
            yield from self._recognize(batch, num_best)

    def _recognize(self, batch, num_best):
        """Return one `Recognition` or `BadAudio` per pair (input, name)."""
        results = [self._read(item) for item, _ in batch]
        usable = [position for position, item in enumerate(results) if not isinstance(item, BadAudio)]
        items = [results[position] for position in usable]
        names = [batch[position][1] for position in usable]
        for position, recognition in zip(usable, self.model.recognize(items, names, num_best)):
            results[position] = recognition
        return results

    def _read(self, item):
        """Return the waveform `[N]` of an input, its units for bundles that take units, or its `BadAudio` error."""
        try:
            if self.input_kind == "units":
                return self.model.check_units(item)
            waveform = as_waveform(item, self.sample_rate)
            seconds = len(waveform) / self.sample_rate
            if seconds > self.model.max_seconds:
                detail = f"{seconds:.0f} s, at most {self.model.max_seconds}: cut the recording into utterances"
                raise BadAudio(place_of(item), "too_long", detail)
            return waveform
        except BadAudio as error:
            return error


def _name_of(item):
    """Return the utterance_id of an input that has no other name."""
    return Path(str(place_of(item))).stem
