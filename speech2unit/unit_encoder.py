"""Turn audio into units from Python, without Snakemake: `encode_units` for one call, `UnitEncoder` for many.

    >>> from speech2unit import encode_units
    >>> result = encode_units("a.wav", codebook="results/units/melhubert_commands_100")
    >>> result.units, result.durations
    (array([ 5,  9, 31]), array([2, 3, 1]))

On a CPU the units equal those of units.parquet and reduced_units.parquet.
"""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speech2unit import encoders
from speech2unit.corpora.audio import as_waveform
from speech2unit.quantize import nearest_centroids
from speech2unit.runs import collapse_runs
from storage import provenance
from storage.errors import data_error, nearest, one_of
from storage.files import read_json

MAX_BATCH_SECONDS = 240  # of padded audio that is encoded together
CODEBOOK_FILES = ("config.json", "centroids.parquet", "projection.parquet")
ENCODER_FILES = ("config.json", "model.safetensors")


class EncodedUnits(NamedTuple):
    """The units of one waveform."""

    units: np.ndarray  # reduced units `[N]`: no unit follows itself
    durations: np.ndarray  # number of frames of each of these units `[N]`
    frame_units: np.ndarray  # one unit per frame `[T]`; T is the sum of the durations
    frame_seconds: float  # seconds from one frame to the next


def encode_units(audio, codebook, device="cpu"):
    """Return the units of audio, and how long each one lasts.

    Every call loads the encoder and the codebook. To encode audio in several calls, keep a `UnitEncoder`.

    Args:
        audio: path of an audio file; a binary file object; a tuple (samples, sample rate in Hz) of a float array, mono `[N]` or
            `[N, channels]`; or a list of these.
        codebook: folder of a codebook, such as `results/units/melhubert_commands_100`.
        device: where the encoder runs, `cpu` or a GPU such as `cuda`. Only a CPU gives the same bits every time.

    Returns:
        An `EncodedUnits`; for a list, a list of them.

    Raises:
        ValueError: if the codebook or its encoder is missing or damaged, or audio cannot be used (`BadAudio`).

    Example:
        >>> waveform, sample_rate = soundfile.read("a.wav")
        >>> result = encode_units((waveform, sample_rate), codebook="results/units/melhubert_commands_100")
        >>> result.durations.sum() * result.frame_seconds
        0.98
    """
    return UnitEncoder.load(codebook, device).encode(audio)


class UnitEncoder:
    """A loaded encoder with a codebook on one of its layers. Make one with `UnitEncoder.load`.

    Attributes:
        sample_rate: sample rate in Hz at which the encoder reads audio. Other audio is resampled.
        frame_seconds: seconds from one frame to the next.
        num_units: size of the codebook.
    """

    def __init__(self, encoder, layer, project, centroids, in_batches=False):
        """Put the parts together.

        Args:
            encoder: an `Encoder`.
            layer: the layer of its that the codebook was fitted on.
            project: `Projection` of the codebook.
            centroids: array `[K, dim]`.
            in_batches: whether several waveforms are padded and encoded together. That is faster on a GPU. On a CPU it saves
                nothing, and each waveform by itself gets the same bits every time.
        """
        self.encoder = encoder
        self.in_batches = in_batches
        self.layer = layer
        self.project = project
        self.centroids = centroids
        self.sample_rate = encoder.sample_rate
        self.frame_seconds = encoder.hop_length / encoder.sample_rate
        self.num_units = len(centroids)

    @classmethod
    def load(cls, codebook, device="cpu"):
        """Load a codebook and the encoder that it was fitted on.

        Args:
            codebook: folder `results/units/{codebook}`; the encoder is in `results/encoders/` of the same results.
            device: where the encoder runs.

        Raises:
            ValueError: if a file is missing or damaged, or the encoder is not the one of the codebook.
        """
        import torch

        from speech2unit import projection
        from speech2unit.assign_units import load_centroids

        # As in workflow/scripts/stage.py: MKL chooses its kernels independently of the alignment of memory.
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
        folder = Path(codebook)
        _check_codebook(folder)
        settings = read_json(folder / "config.json")
        encoder_folder = folder.absolute().parents[1] / "encoders" / settings["encoder"]
        encoder = encoders.load(encoder_folder, torch.device(device))
        _check_encoder(folder, encoder_folder)
        encoders.check_layer(encoder, settings["layer"], folder / "config.json")
        project = projection.load(folder / "projection.parquet", settings["context_frames"])
        centroids = load_centroids(folder / "centroids.parquet")
        return cls(encoder, settings["layer"], project, centroids, in_batches=torch.device(device).type != "cpu")

    def encode(self, audio):
        """Return the `EncodedUnits` of audio, a list of them for a list; see `encode_units`."""
        if isinstance(audio, list):
            return self.encode_waveforms([as_waveform(item, self.sample_rate) for item in audio])
        return self.encode_waveforms([as_waveform(audio, self.sample_rate)])[0]

    def encode_waveforms(self, waveforms):
        """Return a list with the `EncodedUnits` of each float32 mono waveform `[N_i]` at `sample_rate`."""
        encoded = [None] * len(waveforms)
        with one_thread():
            for batch in self._batches([len(waveform) for waveform in waveforms]):
                features = encoders.encode(self.encoder, [waveforms[i] for i in batch], self.layer)
                for i, frames in zip(batch, features):
                    frame_units = nearest_centroids(self.project(frames), self.centroids)
                    encoded[i] = EncodedUnits(*collapse_runs(frame_units), frame_units, self.frame_seconds)
        return encoded

    def _batches(self, lengths):
        """Yield lists of positions of the waveforms to encode together, those of similar length in one list."""
        batch = []
        for i in sorted(range(len(lengths)), key=lengths.__getitem__):
            padded_seconds = lengths[i] * (len(batch) + 1) / self.sample_rate
            if batch and not (self.in_batches and padded_seconds <= MAX_BATCH_SECONDS):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch


def _check_codebook(folder):
    """Check a codebook. Raises `ValueError` if one of its files is missing or damaged."""
    missing = [name for name in CODEBOOK_FILES if not (folder / name).is_file()]
    if missing:
        codebooks = sorted(path.parent.name for path in folder.absolute().parent.glob("*/config.json"))
        raise data_error(
            folder,
            f"the folder of a codebook has {', '.join(CODEBOOK_FILES)}",
            expected=one_of(folder.name, codebooks) if codebooks else "these files",
            got=f"no {', '.join(missing)}",
            remedy=f"{nearest(folder.name, codebooks)}or make it: snakemake --cores all {folder}/config.json",
        )
    for name in CODEBOOK_FILES:
        provenance.check(folder / name)


def _check_encoder(codebook_folder, encoder_folder):
    """Check an encoder. Raises `ValueError` if it is damaged, or is not the encoder that the codebook's provenance records."""
    for name in ENCODER_FILES:
        provenance.check(encoder_folder / name)
    recorded = provenance.read(codebook_folder / "centroids.parquet").get("inputs", {})
    model = encoder_folder / "model.safetensors"
    name = f"encoders/{encoder_folder.name}/{model.name}"
    digests = {digest for path, digest in recorded.items() if path.endswith(name)}
    if digests and provenance.digest(model) not in digests:
        raise data_error(
            model,
            f"the encoder must be the one that the codebook {codebook_folder.name} was fitted on",
            expected=f"the digest {sorted(digests)[0]}",
            got=provenance.digest(model),
            remedy=f"fit the codebook again: snakemake --cores all {codebook_folder}/config.json",
        )


@contextlib.contextmanager
def one_thread():
    """Compute with one thread, as the stages do, because the number of threads changes the last bits of a sum."""
    import torch

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
