"""Several processes on one training: what they say to each other, and nothing else."""
