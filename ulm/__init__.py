"""Unit language models: vocabulary, pre-training, prompt tuning, decoding and scores.

All modules of the package use this notation for rows. Every symbol is a token, that is a vocabulary index:

    u1 … uN <s> y1 … yk </s>    a row: one utterance and its labels
    u1 … uN                     the source: the N reduced units of the utterance (or pieces, for a unit LM that reads pieces)
    <s>                         the separator: it ends the source, and the first label is predicted after it
    y1 … yk                     the units that the verbalizer wrote for the labels
    </s>                        the end of the row; in front of a source, it is also the first token that the unit LM reads
    <s> y1 … yk </s>            the target: what is read after the source
    y1 … yk </s>                the answer: what the unit LM predicts, in prompt tuning and in decoding

Shapes use these letters: B rows of a batch, N and T tokens of a source, L tokens of a target, P vectors of a prompt or tokens of
a past, D dimensions, H heads, V tokens of the vocabulary.
"""
