"""Who trains next: one policy a file, each a pure function of what is known. `decide.schedule` knows them by name."""
