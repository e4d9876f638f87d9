"""Results that were obtained elsewhere: shown beside ours as rows of their own protocol, and never ranked with them."""
