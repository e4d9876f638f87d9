"""What every request passes before anything is parsed or looked up: whose it is, how large, and whether it is text."""
