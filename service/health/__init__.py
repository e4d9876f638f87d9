"""Whether the process lives, whether it can serve, and what a person should look at."""
