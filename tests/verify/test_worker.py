"""The guard: hostile answers cost at most their own limit, and nobody else's verdict."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from minireason.verify import Conventions, Verifier
from minireason.verify.worker import Task, WorkerPool

EASY = (r"\boxed{3\log(2)}", r"\log(8)", "")
BOMB = (r"\boxed{9^{9^{9^9}}}", "3", "")
HOSTILE = [
    r"9^{9^{9^9}}",
    "123456789!",
    r"\binom{10^7}{5000000}",
    "(" * 300 + "x" + ")" * 300,
    r"\frac{" * 200 + "x",
    "\x00\x01x",
    "__import__('os').system('touch pwned')",
    r"\text{__import__('os').system('touch pwned')}",
    "lambda: (yield)",
    "\ud800x",
    r"x^{" * 60 + "}" * 60,
]


@pytest.fixture
def verifier():
    with Verifier(timeout_s=1.0) as verifier:
        yield verifier


def pids(verifier):
    return [worker.process.pid for worker in verifier._pool._workers]


def test_hostile_answers_return_and_their_neighbours_are_decided(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Verifier(timeout_s=1.0) as verifier:
        items = [item for bad in HOSTILE for item in ((rf"\boxed{{{bad}}}", "3", ""), EASY)]
        decided = verifier.verify_batch(items)
        compared = [verifier.compare(bad, r"\log(3)") for bad in HOSTILE[:2]]
    assert all(d.verdict != "correct" for d in [*decided[::2], *compared])
    assert all(d.verdict == "correct" for d in decided[1::2])
    assert list(tmp_path.iterdir()) == []


def test_a_megabyte_of_answer_is_refused_before_any_worker(verifier):
    decision = verifier.verify("\\boxed{" + "x+" * 500_000 + "1}", "x")
    assert (decision.verdict, decision.method) == ("unknown", "input")
    assert len(decision.extracted) < 300
    assert "1,000,001" in decision.reason
    assert pids(verifier) == []


def test_no_worker_starts_before_a_symbolic_case(verifier):
    verifier.verify_batch([(r"\boxed{5}", "5", ""), (r"\boxed{1/2}", "0.25", "")])
    assert pids(verifier) == []
    verifier.verify(*EASY)
    assert len(pids(verifier)) == 1


def test_a_late_worker_is_killed_and_replaced(verifier):
    verifier.verify(*EASY)
    (before,) = pids(verifier)
    decision = verifier.verify(*BOMB)
    assert (decision.verdict, decision.method) == ("unknown", "symbolic")
    assert "1 s" in decision.reason
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert verifier.verify(*EASY).verdict == "correct"
    assert pids(verifier) != [before]


def test_a_worker_killed_at_its_task_costs_that_task_only():
    with Verifier(timeout_s=20.0) as verifier:
        verifier.verify(*EASY)
        (victim,) = pids(verifier)
        threading.Timer(0.3, os.kill, (victim, signal.SIGKILL)).start()
        first, second = verifier.verify_batch([BOMB, EASY])
    assert (first.verdict, first.reason) == ("unknown", "the worker died on this comparison")
    assert second.verdict == "correct"


def test_a_worker_killed_while_idle_costs_nothing(verifier):
    verifier.verify(*EASY)
    os.kill(pids(verifier)[0], signal.SIGKILL)
    time.sleep(0.1)
    assert verifier.verify(*EASY).verdict == "correct"


def test_memory_is_capped():
    with Verifier(timeout_s=20.0, memory_mb=200) as verifier:
        decision = verifier.verify(r"\boxed{2^{2^{30}}-x}", "x")
    assert (decision.verdict, "memory" in decision.reason) == ("unknown", True)


def test_queueing_does_not_count_and_several_workers_keep_order():
    pool = WorkerPool(1.0, 2048, 2, Conventions())
    bombs = [Task("3x", f"{n}^{{9^{{9^9}}}}", "") for n in (7, 8, 9)]
    good = [Task(rf"\log({2**n})", rf"{n}\log(2)", "") for n in range(2, 6)]
    results = pool.run([*bombs, *good])
    pool.close()
    assert [r.verdict for r in results] == ["unknown"] * 3 + ["correct"] * 4


def test_threads_share_one_verifier(verifier):
    verdicts = []
    threads = [
        threading.Thread(target=lambda: verdicts.append(verifier.verify(*EASY).verdict))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["correct"] * 4


def test_asyncio_can_await_verdicts(verifier):
    async def main():
        calls = (asyncio.to_thread(verifier.verify, *EASY) for _ in range(3))
        return await asyncio.gather(*calls)

    assert [d.verdict for d in asyncio.run(main())] == ["correct"] * 3


def test_closing_leaves_no_process_and_allows_a_new_start(verifier):
    verifier.verify(*EASY)
    (pid,) = pids(verifier)
    verifier.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert verifier.verify(*EASY).verdict == "correct"


def run_script(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_a_parent_killed_at_work_takes_its_stuck_worker_along():
    (pid,) = run_script(
        "import os, signal, threading, time\n"
        "from minireason.verify import Verifier\n"
        "v = Verifier(timeout_s=1.0)\n"
        f"v.verify(*{EASY!r})\n"
        f"threading.Thread(target=v.verify, args={BOMB!r}, daemon=True).start()\n"
        "print(next(iter(v._pool._workers)).process.pid, flush=True)\n"
        "time.sleep(0.2)\n"
        "os._exit(0)\n"
    )
    deadline = time.monotonic() + 20
    while is_running(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(int(pid))


def is_running(pid):
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip() not in ("", "Z", "Z+")


def test_importing_the_package_is_light():
    heavy = run_script(
        "import sys, minireason.verify\n"
        "print(*[m for m in ('torch', 'sympy', 'math_verify', 'pyarrow') if m in sys.modules])"
    )
    assert heavy == []


def test_the_default_verifier_leaves_no_process_at_exit():
    (pid,) = run_script(
        "from minireason import verify\n"
        f"verify.verify(*{EASY!r})\n"
        "from minireason.verify import verifier\n"
        "print(next(iter(verifier._default[0]._pool._workers)).process.pid)\n"
    )
    assert not is_running(int(pid))
