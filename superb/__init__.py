"""Tasks of SUPERB: an encoder, tuned in one of several ways, and a head that solves the task.

`tuning` has the ways of tuning, `heads` the heads. `model` puts both together with an encoder, and `tune` trains the result:

    model = build_model("results/encoders/NAME", tuning=dict(method="lora", rank=8), head=…, num_outputs=[12])
    curve = tune(model, batches=…, dev_batches=…, …)
    targets = model.predict(waveforms)

`model.TaskModel` says what inputs and targets look like. The stages are the modules that rules of workflow/rules/superb.smk
name, such as `tune_encoder` and `predict`.
"""
