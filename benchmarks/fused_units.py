"""Audio files to units without features on the disk, against the encoder alone: HuBERT Base up to block 6, two codebooks of 500 units.

Ours is the stage `encode_shard`: it loads the encoder, decodes and checks the files, encodes them, and assigns and writes the units
of both codebooks. The peer calls the loaded encoder for the same waveforms, which are in memory. The rounds, with the one to warm up,
have one hour of audio.
"""

import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.peers import hubert
from benchmarks.scale import CORPUS, utterance
from benchmarks.side_by_side import compare
from speech2unit import encoders
from speech2unit.corpora.audio import read_audio
from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.encode_shard import encode_shard
from speech2unit.quantize import nearest_centroids
from speech2unit.schemas import CENTROIDS, ENCODED_UNITS, PROJECTION
from storage import tables
from workflow.scripts.config_files import default_config

NUM_UTTERANCES = 75
SECONDS = 12  # of an utterance, the mean of LibriSpeech
STEP_SAMPLES = 50_021  # from the start of one utterance to that of the next one in the speech that they are cut from
CODEBOOKS = {"first": 500, "second": 500}  # name → number of units


def write_corpus(folder, num_utterances):
    """Write a corpus: utterances of 12 s that are cut from the clips of the other benchmarks, and a metadata.csv.

    Returns:
        The paths of the files, and a text that says whether they hold speech or noise.
    """
    waveforms, origin = hubert.clips()
    speech = np.resize(np.concatenate(waveforms), SECONDS * hubert.SAMPLE_RATE_HZ + num_utterances * STEP_SAMPLES)
    rows = [utterance(i) for i in range(num_utterances)]
    for i, (path, *_) in enumerate(rows):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, speech[i * STEP_SAMPLES :][: SECONDS * hubert.SAMPLE_RATE_HZ], hubert.SAMPLE_RATE_HZ)
    (folder / "metadata.csv").write_text("\n".join(["path,split,speaker,label", *map(",".join, rows)]) + "\n")
    return [folder / path for path, *_ in rows], origin


def write_codebooks(folder, frames):
    """Write codebooks whose centroids are random frames. Return a dict from the name of each codebook to its centroids `[K, dim]`."""
    rng = np.random.default_rng(0)
    centroids = {name: frames[rng.choice(len(frames), size, replace=False)] for name, size in CODEBOOKS.items()}
    for name, values in centroids.items():
        rows = [dict(unit=unit, centroid=value, num_frames=None) for unit, value in enumerate(values)]
        tables.write(folder / f"{name}.parquet", rows, CENTROIDS)
    tables.write(folder / "projection.parquet", PROJECTION.empty_table(), PROJECTION)
    return centroids


def main(num_utterances=NUM_UTTERANCES, runs=3):
    """Run the benchmark."""
    sizes = hubert.sizes()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "encoder").mkdir()
        hubert.our_files(folder / "encoder", hubert.fairseq_hubert(sizes, seed=0), sizes)
        encoder = encoders.load(folder / "encoder")
        paths, origin = write_corpus(folder / "audio", num_utterances)
        waveforms = [read_audio(path, sample_rate=encoder.sample_rate)[0] for path in paths]
        centroids = write_codebooks(folder, np.concatenate([encoder.features([w], hubert.LAYER)[0] for w in waveforms[:2]]))
        config = default_config()
        corpus = CORPUS | dict(root=str(folder / "audio"))
        files = dict(manifest=folder / "manifest.parquet", rejected=folder / "rejected.parquet")
        make_manifest(**files, corpus=corpus, allow_overlap=["audio"], num_folds=0, **config["make_manifest"])

        def ours():
            encode_shard(
                manifest=files["manifest"],
                model=folder / "encoder/model.safetensors",
                config=folder / "encoder/config.json",
                centroids=[folder / f"{name}.parquet" for name in CODEBOOKS],
                projection=[folder / "projection.parquet"] * len(CODEBOOKS),
                encoded_units=folder / "units.parquet",
                root=folder / "audio",
                layer=hubert.LAYER,
                codebooks=list(CODEBOOKS),
                context_frames=[0] * len(CODEBOOKS),
                shard=1,
                num_shards=1,
                **config["extract_features"],
            )
            return tables.read(folder / "units.parquet", ENCODED_UNITS)

        def peer():
            return [encoder.features([waveform], hubert.LAYER)[0] for waveform in waveforms]

        def check(units, features):
            return same_units(units, features, centroids) | dict(
                bytes_of_units=(folder / "units.parquet").stat().st_size,
                bytes_of_features=sum(frames.nbytes for frames in features),
            )

        compare(
            "fused_units",
            ours,
            peer,
            what=f"{num_utterances} files of {SECONDS} s to units of two codebooks, K=500; peer: HuBERT Base to layer 6 alone",
            unit="s/s of audio",
            runs=runs,
            aim=0.952,  # at most 1.05 times as long
            items=num_utterances * SECONDS,
            check=check,
            waveforms=origin,
        )


def same_units(units, features, centroids):
    """Return the number of units in both codebooks.

    Args:
        units: table of `ENCODED_UNITS`.
        features: features of each utterance, in the order of their names.
        centroids: dict from the name of each codebook to its centroids.

    Raises:
        ValueError: if they are not those of the features.
    """
    num_units = 0
    for name, values in centroids.items():
        rows = sorted((row for row in units.to_pylist() if row["codebook"] == name), key=lambda row: row["utterance_id"])
        for row, frames in zip(rows, features, strict=True):
            if row["units"] != nearest_centroids(frames, values).tolist():
                raise ValueError(f"fused_units: the units of {row['utterance_id']} in {name} are not those of its features")
            num_units += len(row["units"])
    return dict(num_units=num_units)


if __name__ == "__main__":
    main()
