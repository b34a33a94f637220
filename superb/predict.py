"""What a tuned encoder says of every dev and test utterance; in recognition of words also with a language model."""

from pathlib import Path

from safetensors.torch import load_file

from speech2unit.encoders import load_trunk
from storage import tables
from storage.progress import progress
from superb.beam_search import build_fusion, decode
from superb.inputs import labels_of, num_outputs, read_classes, reader, sorted_batches
from superb.model import build_model, restore
from superb.schemas import DATASET, PREDICTIONS
from superb.tune_encoder import of_seed
from training.device import choose_device


def with_language_model(model, inputs, fusion, search):
    """Symbols of each input by beam search, or None of each where there is no `fusion`; see `superb.beam_search`."""
    if not fusion:
        return [None] * len(inputs)
    return [decode(each, fusion, **search) for each in model.log_probabilities(inputs)]


def predicted(model, rows, read, *, classes, kind, batch_size, fusion, search):
    """Rows of `PREDICTIONS` without the seed, for rows of `DATASET`."""
    for chosen in progress(sorted_batches([row["num_samples"] for row in rows], batch_size), "batches"):
        batch = [rows[i] for i in chosen]
        inputs = read(batch)
        answers = zip(batch, model.predict(inputs), with_language_model(model, inputs, fusion, search))
        for row, answer, second in answers:
            known = {name: row[name] for name in ("utterance_id", "split", "labels")}
            second = None if second is None else labels_of(second, classes, kind)
            yield known | dict(predicted_labels=labels_of(answer, classes, kind), lm_predicted_labels=second)


def predict(
    *,
    dataset,
    classes,
    hidden_states,
    model,
    config,
    tuned,
    seeds,
    predictions,
    root,
    kind,
    tuning,
    head,
    batch_size,
    ngram_order,
    lm_weight,
    word_score,
    beam_size,
    prune_nats,
):
    """Stage: the answers of every seed's model. Inputs as of `tune_encoder`; ngram_order 0: no language model."""
    folder, device, known, tensors = Path(model).parent, choose_device(), read_classes(classes), load_file(tuned)
    read = reader(hidden_states, root, load_trunk(folder).sample_rate)
    rows = tables.read(dataset, DATASET).to_pylist()
    rest, fusion = [row for row in rows if row["split"] != "train"], None
    if kind == "ASR" and ngram_order:
        transcripts = [row["labels"] for row in rows if row["split"] == "train"]
        fusion = build_fusion(transcripts, known[0], order=ngram_order, lm_weight=lm_weight, word_score=word_score)
    search = dict(beam_size=beam_size, min_log_probability=-prune_nats)
    how = dict(classes=known, kind=kind, batch_size=batch_size, fusion=fusion, search=search)
    with tables.writer(predictions, PREDICTIONS) as out:
        for seed in seeds:
            task_model = build_model(folder, tuning=tuning, head=head, num_outputs=num_outputs(known)).to(device)
            restore(task_model, of_seed(tensors, seed))
            out.write([dict(row, seed=seed) for row in predicted(task_model, rest, read, **how)])
