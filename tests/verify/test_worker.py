"""The guard: hostile answers cost at most their own limit, and nobody else's verdict."""

import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from minireason.verify import Conventions, Verifier
from minireason.verify.worker import Task, WorkerPool

EASY = (r"\boxed{\sqrt{5+2\sqrt{6}}}", r"\sqrt{2}+\sqrt{3}", "")
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


def test_threads_with_batches_of_their_own_get_their_own_verdicts(verifier):
    verdicts = {}

    def decide(number):
        right, wrong = (rf"\boxed{{{number}\sqrt{{5+{c}\sqrt{{6}}}}}}" for c in (2, 3))
        reference = rf"{number}(\sqrt{{2}}+\sqrt{{3}})"
        items = [(right, reference, ""), (wrong, reference, ""), (rf"\boxed{{{number}}}", "7", "")]
        verdicts[number] = [d.verdict for d in verifier.verify_batch(items)]

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(2, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {n: ["correct", "incorrect", "correct" if n == 7 else "incorrect"] for n in verdicts}
    assert verdicts == expected and len(verdicts) == 10


def test_a_bomb_in_one_thread_costs_the_other_threads_nothing():
    with Verifier(timeout_s=1.0, num_workers=2) as verifier:
        verdicts = {}
        jobs = {"bomb": BOMB, "a": EASY, "b": EASY, "c": EASY}
        threads = [
            threading.Thread(target=lambda n=n, j=j: verdicts.update({n: verifier.verify(*j)}))
            for n, j in jobs.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {n: d.verdict for n, d in verdicts.items()} == {
        "bomb": "unknown",
        "a": "correct",
        "b": "correct",
        "c": "correct",
    }


def test_a_running_event_loop_may_call_it_directly(verifier):
    async def main():
        return verifier.verify(*EASY), verifier.verify(*BOMB), verifier.verify(*EASY)

    assert [d.verdict for d in asyncio.run(main())] == ["correct", "unknown", "correct"]


def test_inside_ray_workers_verdicts_are_the_same():
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:

        @ray.remote
        def decide(items):
            with Verifier(timeout_s=2.0) as verifier:
                return [d.verdict for d in verifier.verify_batch(items)]

        found = ray.get([decide.remote([EASY, BOMB, EASY]), decide.remote([EASY])])
    finally:
        ray.shutdown()
    assert found == [["correct", "unknown", "correct"], ["correct"]]


def test_a_slow_task_makes_the_pool_start_a_spare_for_the_next(verifier):
    verifier.verify(*EASY)
    verifier.verify(*BOMB)
    (spare,) = verifier._pool._workers
    assert verifier._pool._spares == [spare]
    assert verifier.verify(*EASY).verdict == "correct"
    assert pids(verifier) == [spare.process.pid] and verifier._pool._spares == []


def test_a_spare_that_died_is_not_used(verifier):
    verifier.verify(*EASY)
    verifier.verify(*BOMB)
    os.kill(pids(verifier)[0], signal.SIGKILL)
    time.sleep(0.1)
    assert verifier.verify(*EASY).verdict == "correct"


@pytest.mark.parametrize("answer", [r"2^{2^{30}}-x", r"\binom{2^{26}}{2^{25}}-x", "10^{10^9}x"])
def test_an_answer_that_allocates_stays_under_the_cap(answer):
    with Verifier(timeout_s=3.0, memory_mb=256) as verifier:
        verifier.verify(*EASY)
        (worker,) = verifier._pool._workers
        watch = peak_of(worker.process.pid)
        decision = verifier.verify(rf"\boxed{{{answer}}}", "x")
        assert decision.verdict != "correct"
        assert watch() <= 256 * 2**10


def peak_of(pid):
    """Kilobytes of address space a process has used at most, read while it lives."""
    seen = [0]
    stop = threading.Event()

    def read():
        while not stop.is_set():
            with contextlib.suppress(OSError, IndexError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                seen[0] = max(seen[0], int(status.split("VmPeak:")[1].split()[0]))
            time.sleep(0.01)

    thread = threading.Thread(target=read)
    thread.start()

    def finish():
        stop.set()
        thread.join()
        return seen[0]

    return finish


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
