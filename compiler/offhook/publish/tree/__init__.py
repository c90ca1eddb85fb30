"""What is published: the compiled tree with its secrets opened, in memory, and what each path is to phones."""
