"""The SDK and the `dpk` command. Knows the wire schemas and HTTP; neither torch nor the database."""
