"""The SDK and the `dpk` command. Knows the wire schemas and HTTP; neither torch nor the database."""

VERSION = "0.1.0"
"""Of the client; that of the package in `pyproject.toml`."""
