"""What phones get from a live root, held against what was released: virtual phones boot from it, many at once."""
