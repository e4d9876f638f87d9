"""Data sources in memory, their batches and augmentations; everything random is derived from the run's seed."""
