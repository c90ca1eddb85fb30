"""Diffs and histories as people and programs read them: pure functions from values to text."""
