"""The entry point: one exit, fixed exit codes, and nothing imported that the call does not need."""

from __future__ import annotations

import sys

from offhook import __version__


def main() -> None:
    """Run offhook with the process's arguments, and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        # a line of its own before click is imported: scripts ask this often
        print(f"offhook {__version__}")
        return
    import gc
    import signal

    # an inventory is many objects and no cycle: collecting would cost a tenth of a short run, a third of a long one
    gc.disable()
    from offhook.cli.run import run

    # CI ends its jobs by SIGTERM: what an interrupt cleans up, this cleans up too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = run(sys.argv[1:])
    # the work is done: an impatient second Ctrl-C would find the interpreter at its end, without handlers
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
