"""The log-Mel front end."""

from dataclasses import dataclass
from functools import cache, lru_cache

import torch

from storage.files import read_json

SAMPLE_RATE_HZ = 16_000


SHIFT_SAMPLES = 160  # 10 ms, from one frame of log-Mel bins to the next


HOP_SAMPLES = 2 * SHIFT_SAMPLES  # 20 ms: two of them


NUM_MELS = 40


MIN_SAMPLES = 400  # one 25 ms window


BLOCK_FRAMES = 6_000  # frames that are computed together: an hour at once would take 4 GB


LOUD_QUANTILE = 0.7  # frames above this quantile of their energies are the loud ones


def log_mel(waveform, warp=1.0, tempo=1.0):
    """Mono float32 waveform `[N]` in [-1, 1] at 16 kHz → log-Mel energies `[T, 40]` every 10 ms (Kaldi, Hamming window).

    `warp` moves the formants by this factor (vocal tract length), `tempo` the distance of the frames; both are for
    augmentation.
    """
    shift = 10 * tempo
    settings = dict(num_mel_bins=NUM_MELS, window_type="hamming", vtln_warp=warp, dither=0.0)
    return kaldi_frames(torch.as_tensor(waveform), scale=2**15, frame_shift=shift, **settings)


def kaldi_frames(waveform, *, scale=1, frame_shift=10.0, **settings):
    """Waveform `[N]` at 16 kHz, times `scale` → Kaldi's filter bank energies `[T, num_mel_bins]` every `frame_shift` ms, one
    block of frames after another: each frame is what it is in the whole, and memory stays that of a block.
    """
    hop = int(SAMPLE_RATE_HZ * frame_shift * 0.001)  # as Kaldi rounds it
    step = BLOCK_FRAMES * hop
    starts = range(0, max(len(waveform) - MIN_SAMPLES + 1, 1), step)
    pieces = (waveform[None, start : start + step - hop + MIN_SAMPLES] * scale for start in starts)
    settings |= dict(sample_frequency=SAMPLE_RATE_HZ, frame_length=25, frame_shift=frame_shift)
    return torch.cat([_kaldi().fbank(piece, **settings) for piece in pieces])


@cache
def _kaldi():
    """torchaudio's Kaldi features, which make each set of Mel filters once here: for a clip of a second they are half the work."""
    from torchaudio.compliance import kaldi

    kaldi.get_mel_banks = lru_cache(maxsize=128)(kaldi.get_mel_banks)
    return kaldi


def without_loudness(mel):
    """Log-Mel frames `[T, 40]` less one number, the mean of the utterance's louder frames: how loud it was recorded.

    The long-term spectrum stays: in a clip of half a second it holds more phone than channel, and removing it as well
    costs 10 points of accuracy on spoken digits.
    """
    energy = mel.mean(1)
    return mel - energy[energy >= energy.quantile(LOUD_QUANTILE)].mean()


def stack_pairs(mel):
    """10 ms frames `[T, 40]` → 20 ms frames `[ceil(T / 2), 80]`; an odd tail is filled with zeros."""
    padded = torch.nn.functional.pad(mel, (0, 0, 0, len(mel) % 2))
    return padded.reshape(len(padded) // 2, 2 * mel.shape[1])


@dataclass
class FrontEnd:
    """Waveform → normalised frames; `mean` and `std` `[40]` are those of the training split."""

    mean: torch.Tensor
    std: torch.Tensor
    subtract_loudness: bool  # False: global normalisation only (as published)
    frame_ms: int = 20  # 10 or 20

    @property
    def hop_length(self):
        """Samples from one frame to the next."""
        return SHIFT_SAMPLES * self.frame_ms // 10

    @property
    def dim(self):
        """Values a frame."""
        return NUM_MELS * self.frame_ms // 10

    def num_frames(self, num_samples):
        """Frames of a waveform of so many samples."""
        return -(-(1 + (num_samples - MIN_SAMPLES) // SHIFT_SAMPLES) * SHIFT_SAMPLES // self.hop_length)

    def normalize(self, mel):
        """Log-Mel energies `[T, 40]` → `[T, 40]` with mean 0 and deviation 1 over the training split."""
        return ((without_loudness(mel) if self.subtract_loudness else mel) - self.mean) / self.std

    def stack(self, mel):
        """10 ms frames `[T, 40]` → frames of `frame_ms`."""
        return stack_pairs(mel) if self.frame_ms == 20 else mel

    def __call__(self, waveform):
        """Waveform `[N]` → frames `[T, 80]` every 20 ms, or `[T, 40]` every 10 ms."""
        return self.stack(self.normalize(log_mel(waveform)))


def load_front_end(model, config):
    """The `FrontEnd` that a log-Mel or MelHuBERT encoder's two files hold."""
    from safetensors.torch import load_file

    tensors, settings = load_file(model), read_json(config)
    return FrontEnd(tensors["mean"], tensors["std"], settings["subtract_loudness"], settings.get("frame_ms", 20))
