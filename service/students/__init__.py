"""Trained students, to be taken away."""
