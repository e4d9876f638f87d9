"""Tells other servers what happened to jobs: signed messages (standardwebhooks.com), tried again until they arrive."""
