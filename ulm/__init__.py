"""Unit language models: vocabulary, binarisation, pre-training, prompt tuning, sampling, scores."""
