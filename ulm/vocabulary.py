"""The special symbols of every unit LM, which come before the units in its vocabulary."""

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # fairseq's symbols in fairseq's order
SEPARATOR, PAD, EOS, UNK = range(4)  # their indices. A source is read after EOS, as in fairseq; a target begins with SEPARATOR
