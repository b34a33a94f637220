"""Levels of audio: silence, clipping, samples that are not between -1 and 1, channels that cancel each other."""

import numpy as np

from speech2unit.corpora.containers.bad_audio import BadAudio, ffmpeg_line

IN_MEMORY = "waveform"  # what messages call audio that comes from no file
FULL_SCALE = 32767 / 32768  # largest sample of 16 bits
CLIPPED_FRACTION = 0.001
# Floats may exceed full scale a little, where a mix or a filter made them louder; 12 dB is more than that.
LOUDEST = 4.0
SCALES = (1 << 7, 1 << 15, 1 << 23, 1 << 31)  # full scale of whole numbers of 8, 16, 24 and 32 bits
QUIETEST = 1e-4  # half of the range of the quietest audio: -80 dB of full scale, three steps of 16 bits
# Channels cancel each other if their mean keeps less than this fraction of the energy that it has if they are unrelated.
CANCELLED_FRACTION = 0.01
ABOUT_AS_LOUD = 0.5  # 3 dB: the first channel with this fraction of the energy of the loudest one is taken
CLIPPED = "clipped (more than 0.1 % of the samples of a channel at full scale)"
CANCELLING = "one channel taken, because the channels cancel each other"


class Levels:
    """Levels of the channels of audio, block by block."""

    def __init__(self, path):
        self.path = path
        self.full_scale = FULL_SCALE
        self.num_frames = 0
        self.peak = 0.0
        self.is_whole = True  # whether samples above full scale are whole numbers
        self.at_full_scale = 0  # samples, of each channel
        self.sums = 0.0  # of each channel
        self.products = None  # of each pair of channels; None for mono

    def add(self, block):
        """Measure a block `[N, channels]`, and return its mean over the channels `[N]`."""
        self.num_frames += len(block)
        if not len(block):
            return block[:, 0]
        samples = block[:, 0] if block.shape[1] == 1 else block
        peak = max(-samples.min(), samples.max())  # NaN if any sample is NaN
        self.peak = max(self.peak, float(peak))
        if peak >= 2 and np.isfinite(peak):
            self.is_whole = self.is_whole and bool((samples == np.rint(samples)).all())
        if peak >= self.full_scale:
            self.at_full_scale = self.at_full_scale + np.count_nonzero(np.abs(block) >= self.full_scale, axis=0)
        if block.shape[1] == 1:
            return samples
        if np.isfinite(peak) and peak <= LOUDEST:
            self.products = 0.0 if self.products is None else self.products
            for start in range(0, len(block), 1 << 16):
                wide = block[start : start + (1 << 16)].astype(np.float64)
                self.sums = self.sums + wide.sum(axis=0)
                self.products = self.products + wide.T @ wide
        with np.errstate(invalid="ignore"):
            return block.mean(axis=1)

    def is_clipped(self):
        """Return whether more than `CLIPPED_FRACTION` of the samples of a channel are at full scale."""
        return bool(np.max(self.at_full_scale) > CLIPPED_FRACTION * self.num_frames)

    def check(self):
        """Return the channel to take instead of the mean where channels cancel each other, else None. Raises `BadAudio`: `too_loud`."""
        if np.isfinite(self.peak) and (self.peak > LOUDEST or (self.peak >= 2 and self.is_whole)):
            scale = next((scale for scale in SCALES if self.peak <= scale), round(self.peak))
            line = f"or: {ffmpeg_line(self.path, after=f'-af volume=1/{scale}')}"
            if self.path == IN_MEMORY:
                line = "before you pass them on"
            raise BadAudio(
                self.path,
                "too_loud",
                f"its peak is {self.peak:g}, where 1 is full scale",
                f"divide the samples by {scale}, {line}",
            )
        if self.products is None:
            return None
        covariances = self.products - np.outer(self.sums, self.sums) / self.num_frames
        energies = np.diag(covariances)
        num_channels = len(energies)
        unrelated = energies.sum() / num_channels**2  # energy of the mean of channels that have nothing in common
        if not covariances.sum() / num_channels**2 < CANCELLED_FRACTION * unrelated:
            return None
        if energies.max() <= self.num_frames * 1e-12:
            return None  # silence
        return int(np.argmax(energies >= ABOUT_AS_LOUD * energies.max()))


def check_samples(samples, path):
    """Refuse samples `[N]` that are empty, not finite, all the same or silent. Raises `BadAudio` with `path` as the place."""
    if not len(samples):
        raise BadAudio(path, "no_samples", "a header without audio")
    low = samples.min()  # NaN if any sample is NaN
    high = samples.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadAudio(path, "not_finite", f"{np.count_nonzero(~np.isfinite(samples))} samples are NaN or infinite")
    if low == high:
        raise BadAudio(path, "silent", f"every sample is {low:g}")
    level = (float(high) - float(low)) / 2
    if level <= QUIETEST:
        decibels = 20 * np.log10(level)
        raise BadAudio(
            path, "silent", f"its peak is {decibels:.0f} dB of full scale, quieter than {20 * np.log10(QUIETEST):.0f} dB"
        )
