'''Encoder architectures, one file each. `architecture` in config/encoders.tsv and in an encoder's config.json names the file.

Every file has

* `load(folder, device)`: return the encoder saved in `folder`, an object with the members of `speech2unit.encoders.Encoder`. It
  computes on `device` (`cpu`, `cuda`, or a `torch.device`), but `features` returns NumPy arrays, which are on the CPU.

A file also has functions and constants for what the architecture supports:

* `convert(tensors, sizes)`, to convert published weights. `tensors` is a dict from published name to tensor. `sizes` is the dict
  `sizes` of a preset of `convert_encoder`; its entries become settings in config.json. Return a dict from our name to tensor, and
  the rows of a load report (`LOAD_REPORT`). An architecture without learned weights returns `{}, []`. This function is required
  unless a stage trains every encoder of the architecture.
* `sizes_from_transformers(config)`, to convert models in the format of transformers. Return the sizes from their config.json.
* `sizes_from_checkpoint(sizes, tensors, path)`, if a checkpoint may be smaller than its preset says, such as a pruned one. Return
  the sizes.
* `load_trunk(folder)`, for prompts inside the encoder and other tuning. Return a `speech2unit.encoders.Trunk`.
* `load_trainable(folder, device)` and the constant `OBJECTIVE`, for pruning, factorization and distillation. Return a
  `speech2unit.encoders.TrainableEncoder`. `OBJECTIVE` is a key of `speech2unit.recipes.compress_encoder.OBJECTIVES` and names
  what the smaller model learns. workflow/schemas/encoders.schema.yaml lists these architectures as well.
* The constant `RECIPE`, the name of the stage that trains the encoder from scratch.

The smallest architecture:

    class MFCC:
        """13 cepstral coefficients, 100 frames per second. Layer 0 is the only one."""

        sample_rate = 16_000
        hop_length = 160
        dim = 13
        num_layers = 0

        def features(self, waveforms, layer):
            return [kaldi.mfcc(torch.as_tensor(waveform)[None]).numpy() for waveform in waveforms]

        def num_frames(self, num_samples):
            return 1 + (num_samples - 400) // self.hop_length


    def load(folder, device):
        return MFCC()


    def convert(tensors, sizes):
        return {}, []

The workflow finds out which of these names a file defines without importing the file. Therefore define them at the top level, by
`def` or by an assignment.
'''
