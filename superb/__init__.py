"""Prompts inside a frozen speech encoder: tuning methods, heads, metrics of the SUPERB tasks.

How the parts fit together:

* `superb.model.build_model(folder, tuning=…, head=…, num_outputs=…)` → `TaskModel`. folder: of `results/encoders/`; tuning:
  `method` and the settings of that one of `superb.tuning.METHODS`; head: `architecture` and the settings of that one of
  `superb.heads.HEADS`; num_outputs: a list, the classes of each slot (KS and SID: one number, IC: three), or `[symbols]` without
  the blank of CTC, or `[speakers]`.
* Inputs of a model are a list of mono waveforms `[N_i]` (float32 tensors or arrays at `model.trunk.sample_rate`) or, with
  tuning `weighted_sum` alone, of cached hidden states `[L + 1, T_i, D]`, which `superb.hidden_states.hidden_states(trunk,
  waveforms)` yields once for all (`speech2unit.encoders.load_trunk(folder)`).
* `model(inputs)` → logits and lengths: `[B, sum(num_outputs)]` and None (utterances), or `[B, T, 1 + symbols]` or
  `[B, T, speakers]` and frames `[B]`.
* `model.loss((inputs, targets))` → (sum, number), as `training.fit.fit` wants it. The target of an utterance: a class of
  each slot, such as `[3]` or `[0, 4, 1]`; of CTC: symbols from 1 (0 is the blank); of diarization: segments as labels, such as
  `1 0.00 0.42` (speaker from 1, start and end in seconds).
* `model.predict(inputs)` → for each input what its target would be. With a language model: `fusion = beam_search.fusion_of(
  train_labels, symbols, …)`, then `beam_search.decode(rows, fusion, …)` for each of `model.log_probabilities(inputs)`.
* `superb.tune.tune(model, …)` trains with `fit` and returns its curve; `model.num_trained()` counts;
  `training.fit.trained_state(model)` is what was trained, `superb.model.restore(model, tensors)` puts it back;
  `superb.model.start_from` takes the head and the weights of the layers alone (names that begin with `superb.model.HEAD`).
* Metrics that tasks of both packages share are in `evaluation.metrics`; `superb.diarization.der(collar_seconds)` is one more.
"""
