"""Start one run as several processes of this machine, and end them together.

For many machines there is torchrun, which sets the same environment. This starter is for one: it
passes Ctrl-C and SIGTERM on, ends the others when one fails, and prints nothing of its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 10.0
"""How long the others may take to end by themselves once one has failed."""


def launch(num_processes: int, arguments: Sequence[str]) -> int:
    """Run `minireason` with the arguments in that many processes; the first failure's exit code."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "minireason", *arguments],
            process_group=0,  # a terminal's Ctrl-C comes from here, once
            preexec_fn=end_with_parent,  # this process has no other threads
            env=os.environ
            | {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(num_processes),
                "LOCAL_WORLD_SIZE": str(num_processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
        )
        for rank in range(num_processes)
    ]

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for process in started:
            if process.poll() is None:
                process.send_signal(number)

    previous = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        return _outcome(started)
    finally:
        for process in started:
            process.kill()
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """Ask Linux to send SIGTERM when the starter dies; elsewhere they would go on alone."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _outcome(started: Sequence[subprocess.Popen[bytes]]) -> int:
    while True:
        codes = [process.poll() for process in started]
        failed = [code for code in codes if code]
        if all(code is not None for code in codes):
            return _exit_code(failed[0]) if failed else 0
        if failed:
            return _exit_code(_after_grace(started) or failed[0])
        time.sleep(0.05)


def _after_grace(started: Sequence[subprocess.Popen[bytes]]) -> int:
    """The main process's exit code once the others had time to end; 0 if it has none."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(process.poll() is None for process in started):
        time.sleep(0.05)
    return started[0].poll() or 0


def _exit_code(code: int) -> int:
    """A process ended by signal n has the code -n; shells say 128 + n."""
    return 128 - code if code < 0 else code
