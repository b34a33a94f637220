"""Files that other people wrote: downloads, archives and checkpoints, read without running code from them."""
