"""From labels to units: language-model rows, label maps, verbalized rows."""
