"""What a trained model is worth: metrics, figures, HTML pages and learning curves."""
