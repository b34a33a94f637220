'''Encoder architectures, one file each. `architecture` in config/encoders.tsv and in an encoder's config.json names the file.

A file must have

* `load(folder, device)`: return the encoder saved in `folder`, an object with the members of `speech2unit.encoders.Encoder`.

It has these functions and constants for what else the architecture supports:

* `convert(tensors, sizes)`: convert published weights. `tensors`: published name → tensor; `sizes`: a preset of section
  `convert_encoder`, which becomes config.json. Return our name → tensor, and the rows of a load report (`LOAD_REPORT`).
  An architecture without learned weights returns `{}, []`.
* `sizes_from_transformers(config)`: return the sizes, read from the config.json of a transformers model.
* `load_trunk(folder)`: return the encoder as a `speech2unit.encoders.Trunk`, for prompts inside it and other tuning.
* `load_trainable(folder, device)`: return it as a `speech2unit.encoders.TrainableEncoder`, to be pruned, factorised or distilled;
  with it `OBJECTIVE`, a key of `speech2unit.recipes.compress_encoder.OBJECTIVES`: what it learns after each such step.
* `RECIPE`: name of the stage that trains it from scratch, if it was not published.

The smallest architecture:

    class MFCC:
        """13 cepstral coefficients, 100 frames per second. Layer 0 is the only one."""

        sample_rate = 16_000
        hop_length = 160
        dim = 13
        num_layers = 0

        def features(self, waveforms, layer):
            return [kaldi.mfcc(torch.as_tensor(waveform)[None]).numpy() for waveform in waveforms]


    def load(folder, device):
        return MFCC()


    def convert(tensors, sizes):
        return {}, []

The workflow reads which of these names a file defines without importing it. They must be defined at the top level of the file, by
`def` or by an assignment.
'''
