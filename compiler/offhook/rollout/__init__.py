"""Rolling out: phones switched in waves, told to fetch, and every one of them accounted for."""
