"""Stage 1's data shard by shard, in several processes where there are several threads to use.

A shard of rollouts is the unit of work and of resuming: its annotations are written last, so a
shard that has them is done. Each process holds one shard; the questions are read once, in order.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from minireason.curate.judged import shard_groups
from minireason.curate.midtrain import MidtrainSelection, annotate_group, midtrain_examples
from minireason.model.tokens import CountTokens, token_counter
from minireason.records import (
    Annotation,
    Example,
    write_records,
)
from minireason.shards import ShardJob


@dataclass(frozen=True, slots=True)
class ShardRules:
    """What is the same for every shard: the rules, the prompt, whose tokens count, where to."""

    selection: MidtrainSelection
    system_prompt: str
    base: str
    verdicts: Path
    midtrain: Path
    annotations: Path


def annotate_shards(jobs: Iterable[ShardJob], rules: ShardRules, num_workers: int) -> Iterator[int]:
    """Do the jobs, several at once; yields the number of shards done after each."""
    if num_workers < 2:
        count_tokens = token_counter(rules.base)
        for number, job in enumerate(jobs, start=1):
            _annotate(job, rules, count_tokens)
            yield number
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, _start, (rules,)) as pool:
        running: set[Future[None]] = set()
        num_done, left = 0, iter(jobs)
        try:
            while True:
                for job in islice(left, 2 * num_workers - len(running)):
                    running.add(pool.submit(_work, job))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    num_done += 1
                    yield num_done
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: list[tuple[ShardRules, CountTokens]] = []


def _start(rules: ShardRules) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _worker.append((rules, token_counter(rules.base)))


def _end_with_the_parent() -> None:
    """A killed parent cannot say when to stop, and its processes would wait for it for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(job: ShardJob) -> None:
    _annotate(job, *_worker[0])


def _annotate(job: ShardJob, rules: ShardRules, count_tokens: CountTokens) -> None:
    """Write the examples and then the annotations of one shard."""
    name, selection = job.rollouts.name, rules.selection
    groups = list(shard_groups(job.questions, job.rollouts, rules.verdicts))
    texts = list(dict.fromkeys(j.rollout.response for group in groups for j in group))
    num_tokens = dict(zip(texts, count_tokens(texts), strict=True))
    annotated = [
        (group, annotate_group(group, [num_tokens[j.rollout.response] for j in group], selection))
        for group in groups
    ]
    examples = (
        example
        for group, annotations in annotated
        for example in midtrain_examples(group, annotations, rules.system_prompt)
    )
    write_records(rules.midtrain / name, examples, Example)
    write_records(
        rules.annotations / name, (a for _, found in annotated for a in found), Annotation
    )
