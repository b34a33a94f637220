"""Log-Mel frames of a waveform, and the front end that log-Mel and MelHuBERT encoders share."""

from dataclasses import dataclass
from functools import cache, lru_cache

import torch

from storage.errors import data_error
from storage.files import read_json

SAMPLE_RATE_HZ = 16_000
SHIFT_SAMPLES = 160  # 10 ms from one log-Mel frame to the next
HOP_SAMPLES = 2 * SHIFT_SAMPLES  # 20 ms from one pair of frames to the next
NUM_MELS = 40
MIN_SAMPLES = 400  # one window of 25 ms
BLOCK_FRAMES = 6_000  # frames that are computed together; an hour at once would take 4 GB
LOUD_QUANTILE = 0.7  # frames whose energy is above this quantile are the loud ones


def log_mel(waveform, warp=1.0, tempo=1.0):
    """Return log-Mel energies every 10 ms: Kaldi's filter bank with a Hamming window.

    Args:
        waveform: mono float32 `[N]` in [-1, 1] at 16 kHz.
        warp: factor of the formant frequencies (vocal tract length), for augmentation.
        tempo: factor of the distance between frames, for augmentation.

    Returns:
        float32 tensor `[T, 40]`.
    """
    settings = dict(num_mel_bins=NUM_MELS, window_type="hamming", vtln_warp=warp, dither=0.0)
    return kaldi_frames(torch.as_tensor(waveform), scale=2**15, frame_shift=10 * tempo, **settings)


def kaldi_frames(waveform, *, scale=1, frame_shift=10.0, **settings):
    """Return Kaldi's filter bank energies.

    They are computed block by block, so that memory does not grow with the waveform. The result is the same as without blocks.

    Args:
        waveform: tensor `[N]` at 16 kHz.
        scale: factor of the samples.
        frame_shift: ms from one frame to the next.
        settings: further arguments of `torchaudio.compliance.kaldi.fbank`.

    Returns:
        float32 tensor `[T, num_mel_bins]`.
    """
    settings |= dict(sample_frequency=SAMPLE_RATE_HZ, frame_length=25, frame_shift=frame_shift)
    hop = int(SAMPLE_RATE_HZ * frame_shift * 0.001)  # rounded as Kaldi does
    step = BLOCK_FRAMES * hop
    blocks = []
    for start in range(0, max(len(waveform) - MIN_SAMPLES + 1, 1), step):
        samples = waveform[None, start : start + step - hop + MIN_SAMPLES] * scale
        blocks.append(_kaldi().fbank(samples, **settings))
    return torch.cat(blocks)


def num_log_mel_frames(num_samples):
    """Return the number of Kaldi's frames, 10 ms apart, of a waveform of `num_samples` samples."""
    return 1 + (num_samples - MIN_SAMPLES) // SHIFT_SAMPLES


@cache
def _kaldi():
    """Return torchaudio's Kaldi features, changed to remember Mel filters: computing them is half the work for a short clip."""
    from torchaudio.compliance import kaldi

    kaldi.get_mel_banks = lru_cache(maxsize=128)(kaldi.get_mel_banks)
    return kaldi


def without_loudness(mel):
    """Subtract the loudness of an utterance from its log-Mel frames `[T, 40]`: one number, the mean of its louder frames.

    The mean spectrum is not subtracted. In a clip of half a second it says more about the phones than about the channel, and
    subtracting it as well costs 10 points of accuracy on spoken digits.
    """
    energy = mel.mean(1)
    return mel - energy[energy >= energy.quantile(LOUD_QUANTILE)].mean()


def stack_pairs(mel):
    """Join pairs of 10 ms frames `[T, 40]` to 20 ms frames `[ceil(T / 2), 80]`. An odd last frame is followed by zeros."""
    padded = torch.nn.functional.pad(mel, (0, 0, 0, len(mel) % 2))
    return padded.reshape(len(padded) // 2, 2 * mel.shape[1])


@dataclass
class FrontEnd:
    """Compute the normalized log-Mel frames of a waveform."""

    mean: torch.Tensor  # `[40]`, over the training split
    std: torch.Tensor  # `[40]`
    subtract_loudness: bool  # False: only the normalization over the training split, as published
    frame_ms: int = 20  # from one frame to the next: 10 or 20

    @property
    def hop_length(self):
        """Samples from one frame to the next."""
        return SHIFT_SAMPLES * self.frame_ms // 10

    @property
    def dim(self):
        """Values per frame."""
        return NUM_MELS * self.frame_ms // 10

    def num_frames(self, num_samples):
        """Return the number of frames of a waveform of `num_samples` samples."""
        return -(-num_log_mel_frames(num_samples) * SHIFT_SAMPLES // self.hop_length)

    def normalize(self, mel):
        """Return log-Mel energies `[T, 40]` with mean 0 and standard deviation 1 over the training split."""
        return ((without_loudness(mel) if self.subtract_loudness else mel) - self.mean) / self.std

    def stack(self, mel):
        """Join 10 ms frames `[T, 40]` to frames of `frame_ms`."""
        return stack_pairs(mel) if self.frame_ms == 20 else mel

    def __call__(self, waveform):
        """Return the frames of a waveform `[N]`: `[T, 80]` every 20 ms or `[T, 40]` every 10 ms."""
        return self.stack(self.normalize(log_mel(waveform)))


def load_front_end(model, config):
    """Return the `FrontEnd` of a log-Mel or MelHuBERT encoder.

    Args:
        model, config: paths of its model.safetensors and config.json.
    """
    from safetensors.torch import load_file

    tensors = load_file(model)
    settings = read_json(config)
    if "subtract_loudness" not in settings:
        raise data_error(
            config,
            "a log-Mel front end has the setting 'subtract_loudness'",
            expected="a config.json of this version of the project",
            got="one without it",
            remedy="make the encoder again: delete its folder and run the same command",
        )
    return FrontEnd(tensors["mean"], tensors["std"], settings["subtract_loudness"], settings.get("frame_ms", 20))
