"""Files: error messages, atomic writes, Parquet tables, tensors, provenance and checks of whole results."""
