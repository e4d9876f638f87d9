"""What crosses the wire about selection jobs: requests forbid unknown fields, responses ignore them."""
