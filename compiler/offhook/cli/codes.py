"""The exit codes: a contract with scripts and CI."""

DONE = 0
PROBLEMS = 1
"""Problems were found, or the world refused."""
USAGE = 2
BUG = 3
"""With a report fit to paste into an issue."""
CHANGES = 4
INTERRUPTED = 130
