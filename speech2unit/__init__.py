"""Speech to discrete units: manifests, encoder features, codebooks, units, reduced units."""
