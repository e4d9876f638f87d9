"""Teachers over all jobs: how often each was compared, trained with and taken."""
