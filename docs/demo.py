"""`make demo`: the example fleet is checked and compiled, and a virtual phone boots from it over HTTP on loopback."""

import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PHONE = "0021f2000001"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the tree without a log: the phone prints its own trace."""

    def log_message(self, *_: object) -> None:
        pass


def run(*arguments: str) -> None:
    print(f"\n$ offhook {' '.join(arguments)}", flush=True)
    subprocess.run(["offhook", *arguments], check=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "site")
        run("check")
        run("compile", "--check")
        run("compile", "--out", str(tree))
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tree)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            run("boot", PHONE, "--from", f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()
    print(f"\nWho said so: offhook show {PHONE}. The compiled files: site/. The inventory: inventory/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
