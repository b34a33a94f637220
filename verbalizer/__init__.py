"""From labels to units: rows for the unit LM, label maps and verbalized rows."""
