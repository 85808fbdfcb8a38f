"""A world of several real processes for one test: they meet over gloo, as torchrun's would."""

import contextlib
import importlib.util
import inspect
import os
import pickle
import signal
import socket
import sys
import time

TIMEOUT_S = 60.0


def command(*words):
    """The command line, as one of the functions that the processes may carry out."""
    from minireason.cli import main

    sys.argv = ["minireason", *map(str, words)]
    main()


class Processes:
    """`size` processes that call `function(*arguments)` and write what they say into `folder`.

    The function is one at the top of a file; it, or what it calls, does `world.join()`. Arguments
    and results are pickled: plain data.
    """

    def __init__(self, context, folder, size, function, arguments):
        self.folder, self.name = folder, function.__name__
        where = inspect.getfile(function), function.__name__
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.members = [
            context.Process(target=_carry_out, args=(rank, size, port, folder, where, arguments))
            for rank in range(size)
        ]
        for member in self.members:
            member.start()
        self.running = list(self.members)

    def output(self, rank):
        path = self.folder / f"output-{rank}.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, text, ranks=None, timeout_s=TIMEOUT_S):
        """Until these processes, or all, have printed the text."""
        deadline = time.monotonic() + timeout_s
        for rank in range(len(self.members)) if ranks is None else ranks:
            while text not in self.output(rank):
                is_over = not self.members[rank].is_alive() or time.monotonic() > deadline
                assert not is_over, f"{self.name}: {text!r} did not come\n{self._outputs()}"
                time.sleep(0.005)

    def interrupt(self, rank=0, signal_number=signal.SIGINT):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(self.members[rank].pid, signal_number)

    def wait(self, timeout_s=TIMEOUT_S):
        """The exit codes by rank; who has not ended in time is killed, and the test fails."""
        deadline = time.monotonic() + timeout_s
        for member in self.members:
            member.join(max(0.0, deadline - time.monotonic()))
        late = [rank for rank, member in enumerate(self.members) if member.is_alive()]
        self.kill()
        assert not late, f"{self.name}: {late} of {len(self.members)} hang\n{self._outputs()}"
        return [member.exitcode for member in self.members]

    def results(self, timeout_s=TIMEOUT_S):
        """What the function returned in each process; the test fails where it did not."""
        codes = self.wait(timeout_s)
        assert not any(codes), f"{self.name}: exit codes {codes}\n{self._outputs()}"
        files = [self.folder / f"result-{rank}.pickle" for rank in range(len(codes))]
        return [pickle.loads(file.read_bytes()) if file.exists() else None for file in files]

    def kill(self):
        """End the processes, and all that they have started, at once."""
        running, self.running = self.running, []
        for member in running:
            for end in (os.killpg, os.kill):  # a process that has just started leads no group yet
                with contextlib.suppress(ProcessLookupError):
                    end(member.pid, signal.SIGKILL)
            member.join()

    def _outputs(self):
        return "\n".join(f"[{rank}] {self.output(rank)}" for rank in range(len(self.members)))


def _carry_out(rank, size, port, folder, where, arguments):
    os.setsid()
    file = os.open(folder / f"output-{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1), os.dup2(file, 2)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    path, name = where
    spec = importlib.util.spec_from_file_location("carried_out", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = getattr(module, name)(*arguments)
    (folder / f"result-{rank}.pickle").write_bytes(pickle.dumps(result))
