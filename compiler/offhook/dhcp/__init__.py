"""How phones learn where to fetch from: DHCP options 66 and 67, or a page on the phone."""
