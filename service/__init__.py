"""The teacher-selection service: HTTP API, pages and the store. Never imports torch."""
