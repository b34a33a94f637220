"""Files that other people wrote: downloads, archives and checkpoints. They are read without running code from them."""
