"""Files of a folder, fetched as from a server: nothing outside of the folder can be reached."""

from __future__ import annotations

import os
import stat
from urllib.request import url2pathname

from offhook.phone.request import ERROR, FORBIDDEN, NOT_FOUND, OK, TOO_BIG, Answer, FetchOptions
from offhook.phone.target import Target


def fetch(target: Target, options: FetchOptions) -> Answer:
    """Return the file's content.

    The path is taken after percent-decoding and with every symbolic link followed: "forbidden" where
    that leaves the target's root.
    """
    root = os.path.realpath(url2pathname(target.root or target.folder.path))
    path = os.path.realpath(url2pathname(target.path))
    if path != root and not path.startswith(root.rstrip(os.sep) + os.sep):
        return Answer(FORBIDDEN, message="outside of the folder that the boot began with")
    try:
        # A pipe must not make the phone wait for a writer, nor a link that came since be followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return Answer(NOT_FOUND)
    except PermissionError:
        return Answer(FORBIDDEN, message="the file may not be read")
    except OSError as error:
        return Answer(ERROR, message=os.strerror(error.errno or 0).lower())
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return Answer(NOT_FOUND, message="not a file")
    with open(descriptor, "rb") as file:
        body = file.read(options.max_bytes + 1)
    if len(body) > options.max_bytes:
        return Answer(TOO_BIG, message=f"more than {options.max_bytes} bytes")
    return Answer(OK, body)
