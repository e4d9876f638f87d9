"""The life of a run: found or made by content, claimed under a fencing token, reported, and brought to one end."""
