"""What the benchmarks compare with: other ways to the same results."""
