"""WebDAV (RFC 4918) and plain HTTP PUT (RFC 9110) as roots, by requests.

`webdav://` lists by PROPFIND, one folder at a time; `http://` has no way to list. Both PUT: nginx and Apache write a
temporary file and rename it, so that nobody sees half of one; WebDAV itself does not promise it. Folders are made by
MKCOL where a PUT finds none. Basic or Digest, whichever the server asks for; redirects are not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from offhook.problem import OffhookError
from offhook.publish.roots.address import Address
from offhook.publish.roots.connections import Connections
from offhook.publish.roots.credentials import find_credentials
from offhook.publish.roots.http_refusals import Status, lost, refused_status
from offhook.publish.roots.multistatus import Member, members
from offhook.publish.roots.root import (
    NOTHING,
    About,
    RootOptions,
    Stored,
    Unlistable,
    check_path,
    forget,
    is_path,
    own_path,
)

_CONNECTIONS = 8
_PASSING = frozenset({429, 500, 502, 503, 504})
_LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PROPERTIES = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>'
)


class _Session:
    """A connection that is kept, and how it logs in: known after the first 401."""

    def __init__(self) -> None:
        self.requests = requests.Session()
        self.requests.headers["Accept-Encoding"] = "identity"
        self.auth: AuthBase = _Nobody()


class _Nobody(AuthBase):
    """No login; it keeps requests from looking into the netrc file itself."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Http:
    """A folder on a web server."""

    def __init__(self, address: Address, options: RootOptions) -> None:
        self.name = address.name
        self._options = options
        self._credentials = find_credentials(address, options)
        self._lists = address.scheme.startswith("webdav")
        scheme = "https" if address.scheme.endswith("s") else "http"
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._origin = f"{scheme}://{host}{f':{address.port}' if address.port else ''}"
        self._top = f"{address.path}/" if address.path else ""
        self._connections: Connections[_Session] = Connections(
            _Session,
            lambda session: session.requests.close(),
            passing=(*_LOST, Status),
            attempts=options.attempts,
            limit=_CONNECTIONS,
        )

    def list(self) -> Iterator[Stored]:
        """Return every file below, by PROPFIND; raises Unlistable for http:// and https://."""
        if not self._lists:
            raise Unlistable(
                f"{self.name}: plain HTTP cannot list", hint="webdav:// can, where the server has PROPFIND"
            )
        folders = [""]
        while folders:
            folder = folders.pop()
            for path, size in self._members(folder):
                if size is None:
                    folders.append(path)
                elif is_path(path):
                    yield Stored(path, size)

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        answer = self._send("GET", check_path(path), fine=(200, 404, 410))
        return answer.content if answer.status_code == 200 else None

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the content there, and say its content type."""
        check_path(path)
        headers = {"Content-Type": about.content_type or "application/octet-stream"}
        fine: tuple[int, ...] = (200, 201, 204)
        if "/" not in path:
            self._send("PUT", path, headers=headers, body=content, fine=fine)
            return
        # what servers say where a folder is missing: 409 by RFC 4918 section 9.7.1, nginx 500, others 403 or 404
        answer = self._send("PUT", path, headers=headers, body=content, fine=(*fine, 403, 404, 409, 500))
        if answer.status_code not in fine:
            self._make_folders(path)
            self._send("PUT", path, headers=headers, body=content, fine=fine)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete these files.

        DELETE of a folder would take all in it (RFC 4918 section 9.6.1). Depth 0 forbids that on nginx and Apache;
        where PROPFIND is to be had, it is asked, too.
        """
        for path in paths:
            check_path(path)
            if self._lists and any(size is None for _, size in self._members(path, depth="0")):
                raise OffhookError(f"{self._where(path)} is a folder", hint="delete it by hand if nobody needs it")
            self._send("DELETE", path, headers={"Depth": "0"}, fine=(200, 202, 204, 404, 410))

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def makes_folders(self) -> bool:
        """Return whether the server has MKCOL: tried with a folder of a new name, which is removed."""
        path = own_path("", "probe")
        if not self.make_folder(path):
            return False
        self.remove_folder(path)
        return True

    def make_folder(self, path: str) -> bool:
        """Make the folder; False where it is there (405; 403 by Apache, where two make it at once), or none is made."""
        answer = self._send("MKCOL", f"{path}/", fine=(201, 403, 405, 409, 501), again=False)
        return answer.status_code == 201

    def remove_folder(self, path: str) -> None:
        """Remove the folder."""
        self._send("DELETE", f"{path}/", headers={"Depth": "infinity"}, fine=(200, 204, 404), again=False)

    def _members(self, path: str, *, depth: str = "1") -> Iterable[Member]:
        at = f"{path}/" if path and depth == "1" else path
        headers = {"Depth": depth, "Content-Type": "application/xml"}
        fine = (207, 404) if depth == "0" else (207,)
        answer = self._send("PROPFIND", at, headers=headers, body=_PROPERTIES, fine=fine)
        if answer.status_code == 404:
            return []
        try:
            found = members(answer.content, f"/{self._top}")
        except ValueError as error:
            where = self._where(path)
            raise OffhookError(f"{where}: the answer is no WebDAV listing", hint="is it a WebDAV server?") from error
        return [member for member in found if depth == "0" or member.path != path]

    def _make_folders(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            # 405: it is there (RFC 4918 section 9.3.1); a server without MKCOL refuses the PUT that follows
            self._send("MKCOL", "/".join(parts[:end]) + "/", fine=(201, 301, 403, 404, 405, 409, 501))

    def _where(self, path: str) -> str:
        return f"{self.name.rstrip('/')}/{path}" if path else self.name

    def _send(
        self,
        method: str,
        path: str,
        *,
        fine: Sequence[int],
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        again: bool = True,
    ) -> requests.Response:
        """Return the answer, which has one of the `fine` statuses; a path may be a folder's, with its slash."""
        url = f"{self._origin}/{quote(self._top + path)}"

        def send(session: _Session) -> requests.Response:
            answer = self._exchange(session, method, url, headers=headers, body=body)
            if answer.status_code in _PASSING and answer.status_code not in fine:
                raise Status(answer.status_code)
            return answer

        try:
            answer = self._connections.run(send, again=again)
        except Status as error:
            raise refused_status(error.status, method, self._where(path), options=self._options) from error
        except (requests.RequestException, OSError) as error:
            forget(error)
            raise lost(error, self._where(path)) from error
        if answer.status_code not in fine:
            raise refused_status(answer.status_code, method, self._where(path), options=self._options)
        return answer

    def _exchange(
        self, session: _Session, method: str, url: str, *, headers: dict[str, str] | None, body: bytes
    ) -> requests.Response:
        def once() -> requests.Response:
            return session.requests.request(
                method,
                url,
                headers=headers,
                data=body or (b"" if method == "PUT" else None),
                auth=session.auth,
                timeout=self._options.timeout_s,
                # said here, because REQUESTS_CA_BUNDLE overrides what a session says
                verify=str(self._options.ca_file) if self._options.ca_file else None,
                allow_redirects=False,
            )

        answer = once()
        if answer.status_code != 401 or not self._credentials.password or not isinstance(session.auth, _Nobody):
            return answer
        is_digest = "digest" in answer.headers.get("WWW-Authenticate", "").lower()
        found = self._credentials
        if is_digest:
            session.auth = HTTPDigestAuth(found.username, found.password)
        else:
            # as UTF-8 (RFC 7617 section 2.1); of a text requests would make Latin-1
            session.auth = HTTPBasicAuth(found.username.encode(), found.password.encode())
        return once()
