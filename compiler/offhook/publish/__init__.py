"""Publishing: carrying a compiled tree to the place that phones fetch from.

`roots` are those places: one small interface over a folder, S3, SFTP, FTP, WebDAV and plain HTTP.
`transfer` carries contents to one of them, by several processes and threads.
"""
