"""Do the stated chances hold? The record of the newest finished jobs."""
