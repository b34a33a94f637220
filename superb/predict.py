"""Predict the labels of every dev and test utterance; for speech recognition, also with a language model."""

from pathlib import Path

from safetensors.torch import load_file

from speech2unit.encoders import load_trunk
from storage import tables
from storage.progress import progress
from superb.beam_search import build_fusion, decode
from superb.inputs import input_reader, read_classes, sorted_batches
from superb.labels import labels_of, num_outputs
from superb.model import build_model, restore, tensors_of_seed
from superb.schemas import DATASET, PREDICTIONS
from training.device import choose_device


def predict_rows(model, rows, *, read_inputs, slots, kind, batch_size, decode_logits):
    """Yield the rows of `PREDICTIONS`, without the seed, for rows of `DATASET`.

    Args:
        model: a trained `TaskModel`.
        rows: rows of `DATASET`.
        read_inputs: function that maps a list of rows to the inputs of the model, see `input_reader`.
        slots: the result of `read_classes`.
        kind: kind of the task, such as `KS`.
        batch_size: number of utterances per batch.
        decode_logits: function that maps log probabilities `[T, 1 + symbols]` to numbers of symbols, from 1, with a language
            model; None: no language model.
    """
    for positions in progress(sorted_batches([row["num_samples"] for row in rows], batch_size), "batches"):
        batch_rows = [rows[position] for position in positions]
        inputs = read_inputs(batch_rows)
        answers = model.predict(inputs)
        lm_answers = [None] * len(inputs)
        if decode_logits:
            lm_answers = [decode_logits(log_probabilities) for log_probabilities in model.log_probabilities(inputs)]
        for row, answer, lm_answer in zip(batch_rows, answers, lm_answers):
            yield dict(
                utterance_id=row["utterance_id"],
                split=row["split"],
                labels=row["labels"],
                predicted_labels=labels_of(answer, slots, kind),
                lm_predicted_labels=None if lm_answer is None else labels_of(lm_answer, slots, kind),
            )


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
    """Stage: predict with the model of each seed.

    Args:
        dataset, classes, hidden_states, model, config, root, kind, tuning, head, seeds, batch_size: as in `tune_encoder`.
        tuned: safetensors file with the trained tensors of all seeds, which `tune_encoder` wrote.
        predictions: table of `PREDICTIONS` to write.
        ngram_order: for ASR, number of words of the longest n-gram of the language model; 0: no language model.
        lm_weight: factor of the language model's log probability.
        word_score: number that is added to the score for each word.
        beam_size: number of prefixes that the beam search keeps after each frame.
        prune_nats: in each frame, the beam search does not try symbols whose log probability is below −`prune_nats`.

    Raises:
        ValueError: if the trained tensors do not belong to a model with these settings.
    """
    folder = Path(model).parent
    device = choose_device()
    slots = read_classes(classes)
    tensors = load_file(tuned)
    read_inputs = input_reader(hidden_states, root, load_trunk(folder).sample_rate)
    rows = tables.read(dataset, DATASET).to_pylist()
    evaluation_rows = [row for row in rows if row["split"] != "train"]
    decode_logits = None
    if kind == "ASR" and ngram_order:
        transcripts = [row["labels"] for row in rows if row["split"] == "train"]
        fusion = build_fusion(transcripts, slots[0], order=ngram_order, lm_weight=lm_weight, word_score=word_score)

        def decode_logits(log_probabilities):
            return decode(log_probabilities, fusion, beam_size=beam_size, min_log_probability=-prune_nats)

    settings = dict(read_inputs=read_inputs, slots=slots, kind=kind, batch_size=batch_size, decode_logits=decode_logits)
    with tables.writer(predictions, PREDICTIONS) as writer:
        for seed in seeds:
            task_model = build_model(folder, tuning=tuning, head=head, num_outputs=num_outputs(slots)).to(device)
            restore(task_model, tensors_of_seed(tensors, seed))
            writer.write([dict(row, seed=seed) for row in predict_rows(task_model, evaluation_rows, **settings)])
