"""What the project claims by numbers: each module writes its measurements to `results/`."""
