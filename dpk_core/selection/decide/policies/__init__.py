"""Who trains next: one policy a file, each a pure function of what is known. `registry` knows them by name."""
