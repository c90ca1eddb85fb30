"""What a publish would do, and whether it may: the steps, the limits, strangers, signatures, plans as files."""
