"""Storage: atomic file writes, Parquet tables, weights, provenance, error messages, and checks of all results."""
