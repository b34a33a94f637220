"""Prompts inside a frozen speech encoder: tuning methods, heads, metrics of the SUPERB tasks.

How the parts fit together:

* `superb.model.build_model(encoder, tuning=…, head=…, num_outputs=…)` → `TaskModel`. `encoder`: a folder of
  `results/encoders/`; `tuning` and `head`: dicts of settings (`superb.tuning.SETTINGS`, `superb.heads.KINDS`);
  `num_outputs`: a list, the classes of each slot (KS and SID: one number, IC: three), or `[symbols]` without the blank of
  CTC, or `[speakers]`.
* Inputs of a model are a list of mono waveforms `[N_i]` (float32 tensors or arrays at `model.trunk.sample_rate`) or, with
  tuning `weighted_sum` alone, of cached hidden states `[L + 1, T_i, D]`, which `superb.model.hidden_states(encoder,
  waveforms)` yields once for all.
* `model(inputs)` → logits and lengths: `[B, sum(num_outputs)]` and None (utterances), or `[B, T, 1 + symbols]` or
  `[B, T, speakers]` and frames `[B]`.
* `model.loss((inputs, targets))` → (sum, number), as `speech2unit.training.fit` wants it. Targets of an utterance: a class of
  each slot, such as `[3]` or `[0, 4, 1]`; of CTC: symbols from 1 (0 is the blank); of diarization: an array `[T_i, speakers]`
  of 0 and 1 at the encoder's frames (`superb.diarization.frames_of(labels, …)`).
* `model.predict(inputs)` → for each input what its target would be; `model.log_probabilities(inputs)` → arrays `[T_i, V]` for
  `superb.beam_search.decode(…, language_model)`.
* `superb.tune.tune(model, …)` trains with `fit` and returns its curve; `model.num_trained()` counts;
  `superb.tune.save(path, model)` and `superb.tune.restore(path, model)` keep what was trained; `superb.tune.warm_start`
  takes the head and the weights of the layers alone.
* Metrics that tasks of both packages share are in `speech2unit.metrics`; `superb.diarization.der(collar_seconds)` is one
  more of them. A segment of a speaker is a label `name start end` (seconds), such as `a 0.00 1.24`.
"""
