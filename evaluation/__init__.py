"""Evaluation: metrics, figures, HTML pages and learning curves."""
