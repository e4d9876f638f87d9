"""Do the stated chances hold? The record of all finished jobs."""
