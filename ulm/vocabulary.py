"""The special symbols of every unit LM, which come before the units in its vocabulary."""

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # fairseq's symbols in fairseq's order
SEPARATOR, PAD, EOS, UNK = range(4)  # their indices. Sources also begin with EOS, as in fairseq; targets begin with SEPARATOR
