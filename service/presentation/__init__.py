"""Facts as words and numbers, the same on pages, commands and reports."""
