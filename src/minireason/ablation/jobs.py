"""Runs of variants at the same time, each in a process of its own, so that one that fails, or is
killed for its memory, takes no other with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import cast

from minireason.ablation.outcome import generated_tokens, metrics_lines
from minireason.ablation.variant import LOG, Run, work
from minireason.progress import Progress

# Imported once, in the process that the others are forked from.
PRELOAD = ["minireason.stages.rlvr", "minireason.stages.evaluate", "minireason.ablation.variant"]
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """Steps of a run that are to do."""

    run: Run
    steps: Sequence[str]

    def state(self) -> str:
        """How far it is, in a few words."""
        if (self.run.folder / "rlvr" / "manifest.json").is_file():
            return f"{self.run.name}: trained"
        settings, lines = self.run.recipe.rlvr, metrics_lines(self.run.folder)
        share = len(lines) / settings.num_steps
        if settings.token_budget:
            share = max(share, generated_tokens(lines) / settings.token_budget)
        return f"{self.run.name}: {share:.0%}"


def run_jobs(jobs: Sequence[Job], at_once: int, progress: Progress) -> dict[str, str]:
    """Carry them out, so many at a time; why those failed that did, by the name of the run.

    Raises KeyboardInterrupt after Ctrl-C, once they have saved what is done.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    waiting, failed = list(jobs), dict[str, str]()
    running: dict[BaseProcess, tuple[Job, float]] = {}
    with progress.track("runs") as advance:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    job = waiting.pop(0)
                    running[_started(context.Process, job)] = (job, time.monotonic())
                wait([process.sentinel for process in running], LOOK_EVERY_S)
                for process in [process for process in running if not process.is_alive()]:
                    job, started = running.pop(process)
                    if process.exitcode:
                        failed[job.run.name] = _reason(job, process.exitcode)
                        progress.say(f"[red]✗ {job.run.name}[/red]: {failed[job.run.name]}")
                    else:
                        seconds = time.monotonic() - started
                        done = f"{job.run.name}: {', '.join(job.steps)}"
                        progress.say(f"[green]✓ {done}[/green] in {seconds:.0f} s")
                states = ", ".join(job.state() for job, _ in running.values())
                advance(len(jobs) - len(waiting) - len(running), len(jobs), states)
        except KeyboardInterrupt:
            progress.say("asked to end; the runs save what is done")
            _end(list(running))
            raise
    return failed


def _started(process_class: Callable[..., BaseProcess], job: Job) -> BaseProcess:
    arguments = (str(job.run.folder), tuple(job.steps), job.run.noise_steps)
    process = process_class(target=work, args=arguments, name=job.run.name)
    process.start()
    return process


def _end(processes: Sequence[BaseProcess]) -> None:
    """Ask them to end and wait until they have; who is asked again to end kills them."""
    try:
        for process in processes:
            if process.is_alive():
                os.kill(cast(int, process.pid), signal.SIGINT)
        for process in processes:
            process.join()
    except KeyboardInterrupt:
        for process in processes:
            process.kill()


def _reason(job: Job, code: int) -> str:
    """What a run that failed said last."""
    log = job.run.folder / LOG
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    said = lines[-1].removeprefix("error: ") if lines and code > 0 else ""
    how = said or (f"killed by signal {-code}" if code < 0 else f"ended with code {code}")
    return f"{how} (see {log})"
