"""A lab server: a compiled tree handed out to phones over HTTP, TFTP and FTP, and plug and play."""
