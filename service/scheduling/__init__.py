"""What a job trains next: its plan, its rows as decisions see them, and moving it on."""
