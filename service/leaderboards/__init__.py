"""What a job has found out: rows, trust, ledger and curves."""
