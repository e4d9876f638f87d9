"""Decisions as pure functions: results in, next runs or verdict out. No clock, no global random state."""
