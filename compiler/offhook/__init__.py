"""offhook: a compiler from an inventory of desk phones in git to the files that the phones fetch."""

__version__ = "0.1.0"
