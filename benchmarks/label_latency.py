"""From waveform to label for a clip of one second, one thread: a bundle against transformers' audio-classification pipeline.

    python -m benchmarks.label_latency                       # a bundle with random weights of the demo's sizes
    python -m benchmarks.label_latency results/SCR/bundle

The peer is a HuBERT of random weights with about as many parameters as encoder and unit LM together. Both sides start from the
same samples in memory. Time does not depend on the values of the weights.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.random_bundle import write_random_bundle
from benchmarks.side_by_side import compare, seconds
from inference import Recognizer
from speech2unit import encoders
from speech2unit.quantize import nearest_centroids
from speech2unit.runs import collapse_runs

SAMPLE_RATE = 16_000
NUM_RUNS = 50
AIM_SECONDS = 0.060


def transformers_pipeline(num_parameters, num_labels):
    """Return transformers' pipeline on a random HuBERT for classification with about `num_parameters` parameters."""
    from transformers import AudioClassificationPipeline, HubertConfig, HubertForSequenceClassification, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    candidates = []
    for dim in (128, 192, 256):
        sizes = dict(hidden_size=dim, intermediate_size=4 * dim, num_attention_heads=4, conv_dim=[dim] * 7)
        for num_layers in range(1, 9):
            with torch.device("meta"):
                config = HubertConfig(
                    num_hidden_layers=num_layers, num_labels=num_labels, num_conv_pos_embedding_groups=8, **sizes
                )
                size = sum(parameter.numel() for parameter in HubertForSequenceClassification(config).parameters())
            candidates.append((abs(size - num_parameters), num_layers, config))
    _, _, config = min(candidates, key=lambda candidate: candidate[:2])
    model = HubertForSequenceClassification(config).eval()
    return AudioClassificationPipeline(model=model, feature_extractor=Wav2Vec2FeatureExtractor(), device="cpu"), sum(
        parameter.numel() for parameter in model.parameters()
    )


def shares(recognizer, waveform):
    """Return the median seconds of each part of labelling a waveform."""
    unit_encoder = recognizer.model.unit_encoder
    [features] = encoders.encode(unit_encoder.encoder, [waveform], unit_encoder.layer)
    frame_units = nearest_centroids(unit_encoder.project(features), unit_encoder.centroids)
    units, _ = collapse_runs(frame_units)
    tokens = np.array([recognizer.model.index_of[unit] for unit in units])
    parts = dict(
        encoder=lambda: encoders.encode(unit_encoder.encoder, [waveform], unit_encoder.layer),
        units=lambda: collapse_runs(nearest_centroids(unit_encoder.project(features), unit_encoder.centroids)),
        unit_lm=lambda: recognizer.model.decode([tokens], 0),
    )
    return {name: float(np.median([seconds(part)[0] for _ in range(NUM_RUNS)])) for name, part in parts.items()}


def main(bundle=None):
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if bundle is None:
            bundle = Path(folder) / "bundle"
            write_random_bundle(bundle)
        loading, recognizer = seconds(lambda: Recognizer.load(bundle, device="cpu"))
    rng = np.random.default_rng(0)
    waveform = (0.1 * rng.standard_normal(SAMPLE_RATE)).astype(np.float32)
    model = recognizer.model
    num_parameters = sum(parameter.numel() for parameter in model.tuned.parameters())
    num_parameters += sum(parameter.numel() for parameter in model.unit_encoder.encoder.model.parameters())
    pipeline, peer_parameters = transformers_pipeline(num_parameters, len(recognizer.labels))
    compare(
        "label_latency",
        lambda: recognizer((waveform, SAMPLE_RATE), num_best=0),
        lambda: pipeline(waveform, top_k=1),
        what="waveform of one second to label, one thread; peer: transformers' audio-classification pipeline, random HuBERT",
        unit="s/clip",
        runs=NUM_RUNS,
        warm_up=5,
        aim=1.0,
        check=lambda ours, peer: shares(recognizer, waveform),
        aim_seconds=AIM_SECONDS,
        loading_seconds=loading,
        parameters=num_parameters,
        peer_parameters=peer_parameters,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
