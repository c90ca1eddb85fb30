"""A page for people who would rather look than read: one file, no network, with pictures of phones' keys.

`page` puts it together, in the order of its template. `kinds` says what a kind of change is told by; `fates` what
happened to each key, `sights` which phones share a picture, `key_pictures` draws one. `sheet` is a page of its own, of
a site's key labels. `assets` has the looks of both.
"""

PICTURED = 20_000
"""Of so many phones the keys are compared: more pictures than that nobody looks at."""
