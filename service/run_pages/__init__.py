"""What is known of one run, whichever jobs it is a part of: what its page shows."""
