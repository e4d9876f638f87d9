"""Facts as words and numbers, the same on pages, commands and reports."""

VERSION = 9
"""Rises when the facts or words of jobs, boards or pages change: what was stored or sent before is then made anew."""
