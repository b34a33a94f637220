"""Unit language models: vocabulary, pre-training, prompt tuning, decoding and scores."""
