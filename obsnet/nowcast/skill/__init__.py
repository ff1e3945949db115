"""What a model has shown: hindcasts, scores, events."""
