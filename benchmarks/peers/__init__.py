"""What the benchmarks compare with: other ways to compute the same."""
