"""What every rule makes, and what the rules beyond one task need that nobody computes: files put there by hand."""

import numpy as np
import pandas

from tests.workflow.test_published import causal_lm, codebook, cpc_checkpoint, unit_lm

U, L, T, S, E = "results/units/melhubert_16", "results/ulm/tiny", "results/SCR", "results/superb", "results/encoders"


def trained(encoder):
    return [f"{E}/{encoder}/{name}" for name in ("model.safetensors", "config.json", "training.parquet")]


# package.rule → what it makes; a run is killed at the first of them
OF_A_TASK = {
    "speech2unit.corpora.synthesize_commands": [
        "results/corpora/commands/speech/audio",
        "results/corpora/commands/speech/metadata.csv",
    ],
    "speech2unit.corpora.make_manifest": [
        "results/corpora/commands/manifest.parquet",
        "results/corpora/commands/rejected.parquet",
    ],
    "speech2unit.corpora.concatenate_clips": [
        "results/corpora/commands/strings/audio",
        "results/corpora/commands/strings/metadata.csv",
    ],
    "speech2unit.recipes.fit_log_mel": [f"{E}/log_mel/{name}" for name in ("model.safetensors", "config.json")],
    "speech2unit.extract_features": ["results/features/melhubert/layer1/commands/2-of-2.parquet"],
    "speech2unit.fit_codebook": [f"{U}/{name}" for name in ("centroids.parquet", "projection.parquet", "config.json")],
    "speech2unit.assign_units": [f"{U}/commands/units.parquet"],
    "speech2unit.reduce_units": [f"{U}/commands/reduced_units.parquet"],
    "speech2unit.recipes.pretrain_melhubert": trained("melhubert"),
    "ulm.build_vocabulary": [f"{L}/vocabulary.parquet"],
    "ulm.pretrain_ulm": [
        f"{L}/{n}" for n in ("model.safetensors", "config.json", "task_prompts.safetensors", "training.parquet")
    ],
    "verbalizer.create_lm_dataset": [f"{T}/lm_dataset.parquet"],
    "verbalizer.fit_verbalizer": [f"{T}/verbalizer.parquet"],
    "verbalizer.apply_verbalizer": [f"{T}/verbalized.parquet"],
    "ulm.binarize": [f"{T}/binarized", f"{T}/binarized.parquet"],
    "ulm.tune_prompt": [f"{T}/prompt.safetensors", f"{T}/training.parquet"],
    "ulm.sample": [f"{T}/samples.parquet"],
    "ulm.fit_baselines": [f"{T}/baselines.parquet"],
    "ulm.score": [f"{T}/acc.json", f"{T}/confusion.parquet"],
    "ulm.summarize": ["results/comparisons/SCR/summary.parquet"],
    "ulm.compare_tasks": ["results/comparisons/SCR/differences.parquet"],
    "ulm.render_summary": ["results/comparisons/SCR/summary.html"],
    "speech2unit.plot_unit_usage": [f"{U}/commands/plots/unit_usage.svg"],
}
TARGETS = (
    f"{T}/acc.json",
    "results/comparisons/SCR/summary.html",
    "results/comparisons/SCR/differences.parquet",
    *OF_A_TASK["speech2unit.corpora.concatenate_clips"][1:],
)
TARGETS += tuple(OF_A_TASK["speech2unit.plot_unit_usage"])

OTHERS = {
    "speech2unit.recipes.prune_heads": trained("melhubert_heads"),
    "speech2unit.recipes.prune_rows": trained("melhubert_rows"),
    "speech2unit.recipes.prune_layers": trained("melhubert_layers"),
    "speech2unit.recipes.prune_weights": trained("melhubert_weights"),
    "speech2unit.recipes.factorize_layers": trained("melhubert_lowrank"),
    "speech2unit.recipes.distil_posteriors": trained("melhubert_distilled"),
    "speech2unit.recipes.distil_layers": trained("distilalhubert"),
    "speech2unit.encoders.export_melhubert": [f"{E}/melhubert/published/{name}" for name in ("melhubert.ckpt", "mean_std.npy")],
    "speech2unit.measure_encoders": ["results/comparisons/melhubert/measurements.parquet"],
    "speech2unit.probe_encoder": [f"{E}/melhubert/probe.parquet"],
    "ulm.summarize_encoders": ["results/comparisons/melhubert/encoders_summary.parquet"],
    "ulm.plot_encoders": ["results/comparisons/melhubert/plots/encoders.svg"],
    "speech2unit.encoders.convert_encoder": [
        f"{E}/cpc/{name}" for name in ("model.safetensors", "config.json", "load_report.parquet")
    ],
    "speech2unit.convert_codebook": [
        f"results/units/cpc_14/{name}" for name in ("centroids.parquet", "projection.parquet", "config.json")
    ],
    "ulm.convert_ulm": [f"results/ulm/published/{n}" for n in ("model.safetensors", "config.json", "vocabulary.parquet")],
    "ulm.convert_causal_lm": [f"results/ulm/causal/{n}" for n in ("model.safetensors", "config.json", "vocabulary.parquet")],
    "ulm.export_ulm": [f"{L}/transformers/{n}" for n in ("model.safetensors", "config.json")],
    "ulm.export_adapters": ["results/SCR_causal/adapters"],
    "speech2unit.import_units": [f"results/units/imported_9/imported/{n}.parquet" for n in ("reduced_units", "manifest")],
    "speech2unit.corpora.synthesize_intents": [
        f"results/corpora/commands/sentences/{name}" for name in ("audio", "metadata.csv")
    ],
    "speech2unit.corpora.mix_speakers": [f"results/corpora/commands/mixtures/{name}" for name in ("audio", "metadata.csv")],
    "speech2unit.corpora.concatenate_slots": [
        f"results/corpora/commands/slots/commands/{name}" for name in ("audio", "metadata.csv")
    ],
    "speech2unit.measure_units": [f"{U}/commands/statistics.parquet"],
    "speech2unit.render_units": ["results/comparisons/SCR/units.html"],
    "speech2unit.corpora.render_corpus": ["results/corpora/commands/page.html"],
    "speech2unit.corpora.plot_durations": ["results/corpora/commands/plots/durations.svg"],
    "speech2unit.plot_unit_lengths": [f"{U}/commands/plots/unit_lengths.svg"],
    "speech2unit.plot_utterances": [f"{U}/commands/plots/utterances.svg"],
    "verbalizer.plot_classes": [f"{T}/plots/classes.svg"],
    "evaluation.plot_training": [f"{T}/plots/training.svg"],
    "ulm.plot_confusion": [f"{T}/plots/confusion.svg"],
    "ulm.fit_pieces": [f"results/ulm/pieces/{name}" for name in ("pieces.model", "pieces.parquet")],
    "ulm.encode_pieces": ["results/ulm/pieces/commands/reduced_units.parquet"],
    "ulm.cluster_verbalizer": ["results/SCR_pieces/verbalizer.parquet"],
    "superb.create_superb_dataset": [f"{S}/KS_half_deep_prompt10/{name}.parquet" for name in ("dataset", "classes")],
    "superb.extract_hidden_states": ["results/hidden_states/melhubert/commands/2-of-2.parquet"],
    "superb.tune_encoder": [
        f"{S}/KS_half_deep_prompt10/{name}" for name in ("tuned.safetensors", "training.parquet", "sizes.json")
    ],
    "superb.predict": [f"{S}/KS_half_deep_prompt10/predictions.parquet"],
    "superb.score_superb": [f"{S}/KS_half_deep_prompt10/score.json"],
    "superb.summarize_superb": ["results/comparisons/KS_weighted_sum+KS_half_deep_prompt10/superb_summary.parquet"],
    "superb.plot_superb": ["results/comparisons/KS_weighted_sum+KS_half_deep_prompt10/plots/methods.svg"],
    "superb.sweep_learning_rates": [f"{S}/KS_half_deep_prompt10/sweep.parquet"],
    "superb.plot_sweep": [f"{S}/KS_half_deep_prompt10/plots/sweep.svg"],
    "speech2unit.corpora.make_fold": ["results/corpora/divided_fold1/manifest.parquet"],
    "speech2unit.fold_units": [f"{U}/divided_fold1/units.parquet"],
    "speech2unit.sample_features": ["results/features/melhubert/layer1/commands/sample.parquet"],
    "speech2unit.encode_shard": [f"{U}/commands/encoded_units/2-of-2.parquet"],
    "ulm.score_folds": [
        f"results/SCR_divided/{name}" for name in ("acc.json", "samples.parquet", "baselines.parquet", "confusion.parquet")
    ],
    "speech2unit.corpora.list_files": ["results/corpora/commands/files.parquet"],
    "speech2unit.list_units": ["results/corpora/imported/files.parquet"],
    "inference.bundle": [f"{T}/bundle"],
    "inference.superb_bundle": [f"{S}/KS_half_deep_prompt10/bundle"],
    "inference.label_files": [f"{T}/predictions/commands/2-of-2.parquet"],
    "inference.collect_predictions": [f"{T}/predictions/commands.parquet"],
    "inference.score_predictions": [f"{T}/predictions/commands.json"],
}
OUTPUTS = OF_A_TASK | OTHERS
ELSEWHERE = {  # rules whose faults are put in by other tests, or that write nothing
    "download_checkpoint": "class downloads", "fetch_corpus": "make slurm-test", "verify": "writes a log", "all": "a list",
    "missing": "outputs to make again", "collect_units": "without features it writes what assign_units writes here",
    "unknown_name": "an error",
}  # fmt: skip


def put_by_hand(project):
    """Published files, tiny and random, and somebody's units: what converting and importing start from."""
    for name in ("tiny_cpc", "tiny_km", "tiny_lm", "tiny_causal_lm"):
        (project / "resources" / name).mkdir(parents=True)
    cpc_checkpoint(project / "resources/tiny_cpc/cpc.pt")
    codebook(project / "resources/tiny_km/km.bin")
    unit_lm(project / "resources/tiny_lm/lm.tgz")
    causal_lm(project / "resources/tiny_causal_lm")
    (project / "imported").mkdir()
    rng = np.random.default_rng(0)
    rows = [
        dict(utterance_id=f"{split}{i}", split=split, label="ab"[i % 2], units=rng.integers(9, size=8).tolist())
        for split in ("train", "dev", "test")
        for i in range(4)
    ]
    pandas.DataFrame(rows).to_parquet(project / "imported/rows.parquet")
