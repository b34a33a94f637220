"""Peers of the benchmarks: other implementations of the same computations, such as fairseq's."""
