"""One command, several processes on this machine that train together: what torchrun does for several machines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

import torch

from train.ranks import RankError


def default_processes() -> int:
    """One for each GPU, or one."""
    return max(1, torch.cuda.device_count())


def launch(command: Sequence[str], processes: int) -> None:
    """Run the command in so many processes, each knowing its rank, and wait for all of them.

    SIGTERM and Ctrl-C go on to all. Once one fails the others are ended, and SystemExit is raised with its code: it has
    said itself what was wrong.
    """
    if processes < 1:
        raise RankError(f"--processes is at least 1, not {processes}")
    many = str(processes)
    shared = {"WORLD_SIZE": many, "LOCAL_WORLD_SIZE": many, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free()}
    ranks = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(n), "LOCAL_RANK": str(n)})
        for n in range(processes)
    ]

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for rank in ranks:
            rank.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _wait(ranks)
        _told(ranks)
    finally:
        failed = [rank.returncode for rank in ranks if rank.returncode]
        for number, handler in before.items():
            signal.signal(number, handler)
        for rank in ranks:
            rank.kill()
            rank.wait()
    if failed:
        raise SystemExit(failed[0] if failed[0] > 0 else 128 - failed[0])


def _wait(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until all have ended well, or one has not and the others had a few seconds to say why."""
    while any(rank.poll() is None for rank in ranks):
        if any(rank.returncode for rank in ranks):
            time.sleep(2)
            return
        time.sleep(0.1)


def _told(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    """A process that was killed cannot say it itself."""
    for number, rank in enumerate(ranks):
        if rank.returncode and rank.returncode < 0:
            print(
                f"process {number} of {len(ranks)} was killed by {signal.Signals(-rank.returncode).name} (out of "
                "memory?); run the same command again and it goes on from the last checkpoint",
                file=sys.stderr,
            )


def this_command(*arguments: str) -> list[str]:
    """bertmill with these arguments, in this Python."""
    return [sys.executable, "-P", "-c", "from cli import main; main()", *arguments]


def _free() -> str:
    """A port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])
