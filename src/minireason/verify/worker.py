"""The guarded worker pool: comparisons that may hang or eat memory run in processes we can kill.

A worker is a fresh interpreter, not a fork: it neither re-imports the caller's main module nor
inherits torch, threads or locks. It has one task at a time. A task's clock starts when an idle,
loaded worker receives it, so queueing and importing cost nobody a verdict. Past the limit the
worker is killed from outside: no thread or signal handler interrupts one long multiplication. A
task that has used half of its limit makes the pool start a spare worker beside it, so that the next
task need not wait for the imports of the one that replaces a killed worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from minireason.conventions import Conventions
from minireason.errors import MinireasonError
from minireason.verify.equivalence import Comparison

_START_LIMIT_S = 120.0
_TASKS_PER_WORKER = 5_000
_SLOW = 0.5
"""Share of its limit after which a task may well end in a kill."""
_BOOTSTRAP = (
    "import sys; sys.path[:] = sys.argv[1].split('\\n'); "
    "from minireason.verify.symbolic import serve; serve(int(sys.argv[2]))"
)


@dataclass(frozen=True, slots=True)
class Task:
    """A comparison that only the symbolic layer can decide."""

    reference: str
    answer: str
    kind: str


class _DiedError(Exception):
    """The worker's pipe is closed."""


class _LateError(Exception):
    """The worker did not reply in time."""


class _Worker:
    """One process. It loads in the background from the start; `wait` returns when it is ready."""

    def __init__(self, memory_mb: int) -> None:
        path = "\n".join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100
        command = [sys.executable, "-I", "-c", _BOOTSTRAP, path, str(memory_mb)]
        pipe = subprocess.PIPE
        self.owner = os.getpid()
        self.memory_mb = memory_mb
        self.num_tasks = 0
        self.is_ready = False
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0
        )

    def wait(self) -> None:
        """Until it has loaded. Raises MinireasonError if it cannot."""
        if self.is_ready:
            return
        try:
            self._receive(_START_LIMIT_S)
        except (_DiedError, _LateError) as error:
            self.kill()
            raise MinireasonError(
                f"the verification worker did not start (memory limit {self.memory_mb} MB); "
                f"check `{sys.executable} -c 'import math_verify'`, or raise the limit"
            ) from error
        self.is_ready = True

    def ask(
        self, request: dict[str, Any], timeout_s: float, on_slow: Callable[[], None]
    ) -> Comparison:
        """The reply to a request; `on_slow` is called once if it takes long."""
        self.num_tasks += 1
        started = time.monotonic()
        self.send(request)
        if not self._has_reply(timeout_s * _SLOW):
            on_slow()
        left_s = started + timeout_s - time.monotonic()
        return Comparison(**json.loads(self._receive(left_s)))

    def _has_reply(self, timeout_s: float) -> bool:
        assert self.process.stdout is not None
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")

    def _receive(self, timeout_s: float) -> bytes:
        assert self.process.stdout is not None
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        deadline = time.monotonic() + timeout_s
        line = b""
        while not line.endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise _LateError
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise _DiedError
            line += chunk
        return line

    def kill(self) -> None:
        """Kill and reap; in a fork of the owner only forget, the process is not ours."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


def _kill_all(workers: set[_Worker]) -> None:
    for worker in list(workers):
        worker.kill()
    workers.clear()


class WorkerPool:
    """At most `num_workers` processes, started when first needed; safe to call from any thread."""

    def __init__(
        self, timeout_s: float, memory_mb: int, num_workers: int, conventions: Conventions
    ) -> None:
        self.timeout_s = timeout_s
        self.memory_mb = memory_mb
        self.num_workers = num_workers
        self._conventions = asdict(conventions)
        self._workers: set[_Worker] = set()
        weakref.finalize(self, _kill_all, self._workers)  # also runs at interpreter exit
        self._reset()

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._spares: list[_Worker] = []
        self._slots: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.num_workers):
            self._slots.put(None)

    def run(self, tasks: Sequence[Task]) -> list[Comparison]:
        """Decide every task, several at once where there are several workers; order is kept."""
        if os.getpid() != self._owner:  # a fork must not talk through its parent's pipes
            _kill_all(self._workers)
            self._reset()
        if len(tasks) == 1 or self.num_workers == 1:
            return [self._run_one(task) for task in tasks]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(self.num_workers, len(tasks) or 1)) as threads:
            return list(threads.map(self._run_one, tasks))

    def close(self) -> None:
        """Kill the workers. Using the pool again starts new ones."""
        with self._lock:
            self._spares.clear()
            _kill_all(self._workers)

    def _run_one(self, task: Task) -> Comparison:
        slots = self._slots
        worker = slots.get()
        try:
            worker = self._ready(worker)
            result = worker.ask(
                {**asdict(task), "conventions": self._conventions, "timeout_s": self.timeout_s},
                self.timeout_s,
                self._prepare,
            )
        except _LateError:
            self._drop(worker)
            worker = None
            return Comparison("unknown", "symbolic", f"not decided within {self.timeout_s:g} s")
        except (_DiedError, OSError):
            self._drop(worker)
            worker = None
            return Comparison("unknown", "symbolic", "the worker died on this comparison")
        except BaseException:  # Ctrl-C while waiting: a late reply must not answer the next task
            self._drop(worker)
            worker = None
            raise
        finally:
            slots.put(worker)
        return result

    def _ready(self, worker: _Worker | None) -> _Worker:
        """A live worker: the given one, or a new one if it is none, dead or has done its share."""
        if worker is not None:
            is_fit = worker.num_tasks < _TASKS_PER_WORKER and worker.process.poll() is None
            if is_fit and worker in self._workers:
                return worker
            self._drop(worker)
        with self._lock:
            spare = self._spares.pop() if self._spares else None
            is_alive = spare is not None and spare.process.poll() is None
            worker = spare if is_alive else self._start()
        assert worker is not None
        try:
            worker.wait()
        except BaseException:
            self._drop(worker)
            raise
        return worker

    def _prepare(self) -> None:
        """Start a spare, unless there is one."""
        with self._lock:
            if not self._spares:
                self._spares.append(self._start())

    def _start(self) -> _Worker:
        worker = _Worker(self.memory_mb)
        self._workers.add(worker)
        return worker

    def _drop(self, worker: _Worker | None) -> None:
        if worker is not None:
            with self._lock:
                self._workers.discard(worker)
            worker.kill()
