"""Tasks of SUPERB: an encoder, tuned in one of several ways, and a head that solves the task.

`tuning` has the ways of tuning, and `heads` has the heads. `model` combines one of each with an encoder, and `tune` trains the
result:

    model = build_model("results/encoders/NAME", tuning=dict(method="lora", rank=8), head=…, num_outputs=[12])
    curve = tune(model, batches=…, dev_batches=…, …)
    targets = model.predict(waveforms)

`model.TaskModel` explains the form of inputs and targets. The stages are the modules that the rules in workflow/rules/superb.smk
name, such as `tune_encoder` and `predict`.

The kinds of task are KS (keyword spotting), IC (intent classification), SID (speaker identification), PR (phoneme recognition),
ASR (speech recognition), SF (slot filling) and SD (speaker diarization).
"""
