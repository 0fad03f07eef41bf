"""A run that ends without a word (killed, out of memory, a crash in a library) -> one line that says where it was.

The run cannot say it itself: a process of its own waits until the run has gone, and looks at the marks of its units.
Nothing but the standard library is imported here, so that this process is small and quick to start.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FAREWELL = b"."


@contextmanager
def last_words(workspace: Path) -> Iterator[None]:
    """Meanwhile a process waits for the end of this one, and tells of it on stderr unless it comes through here."""
    command = [sys.executable, "-I", "-S", __file__, str(workspace)]
    waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        waiting.communicate(FAREWELL)


def _wait(workspace: Path) -> None:
    began = time.time()
    if sys.stdin.buffer.read(1) == FAREWELL:
        return
    marks = [mark for depth in ("*", "*/*", "*/*/*") for mark in workspace.glob(f"{depth}/running/[0-9]*[0-9]")]
    places = [f"unit {int(mark.name)} of {mark.parent.parent.relative_to(workspace)}"
              for mark in sorted(marks) if mark.stat().st_mtime >= began - 1]  # fmt: skip
    where = f" in {', '.join(places)}" if places else ""
    print(
        f"{workspace}: the run was killed or crashed{where} (out of memory? a scorer that ends the process?); "
        "run the same command again and it goes on",
        file=sys.stderr,
    )


if __name__ == "__main__":
    _wait(Path(sys.argv[1]))
