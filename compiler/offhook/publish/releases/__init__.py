"""What was published: recorded in git, listed, and gone back to."""
