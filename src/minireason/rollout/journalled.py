"""Sampling one by one: every finished sample is on disk at once and is never asked again.

Each shard has a journal beside it until its last sample is there; then the shard is written from
the journal, what it used becomes a line of `usage.jsonl`, and the journal goes. A failed sample is
noted too, with its tries, and asked again by the next run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from minireason.endpoint.usage import Usage
from minireason.errors import SamplingError
from minireason.journal import Entry, Journal
from minireason.records import Rollout
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.shards import Shard, foreign
from minireason.rollout.teacher import Job, Sample, SampleTeacher
from minireason.seeding import derive_seed

USAGE_FILE = "usage.jsonl"
NUM_REASONS = 3

OnProgress = Callable[[int, int, Usage], None]
"""Told what is done of how much (samples, or whole questions), and what they used."""


def sample_one_by_one(
    teacher: SampleTeacher,
    shards: Sequence[Shard],
    params: SamplingParams,
    on_progress: OnProgress,
) -> None:
    """Write every shard that is not written, from its journal and what the teacher adds to it.

    Raises SamplingError at the end where samples failed, RunFolderError where a journal was begun
    with other settings.
    """
    account = _Account(shards[0].path.parent)
    settings = teacher.settings(params)
    begun = {shard.path: _Begun(shard, settings, params.seed) for shard in shards}
    place = {question.id: shard.path for shard in shards for question in shard.questions}
    for one in begun.values():
        one.finish_if_whole(account)
    used = account.total() + sum((one.used for one in begun.values()), Usage())
    num_total = sum(one.num_samples for one in begun.values())
    num_done = num_total - sum(one.num_missing for one in begun.values())
    on_progress(num_done, num_total, used)
    if num_done == num_total:
        return
    jobs = (job for one in begun.values() for job in one.missing())
    num_failed, reasons = 0, deque[str](maxlen=NUM_REASONS)
    for sample in teacher.samples(jobs, params, lambda s: begun[place[s.question_id]].keep(s)):
        used += sample.usage
        if sample.rollout is None:
            num_failed += 1
            reasons.append(sample.failure)
        else:
            num_done += 1
        on_progress(num_done, num_total, used)
        begun[place[sample.question_id]].finish_if_whole(account)
    if num_failed:
        last = "; ".join(dict.fromkeys(reversed(reasons)))
        raise SamplingError(
            f"{num_failed:,} of {num_total:,} samples failed, at last by {last}. The others are "
            f"kept; run again to ask for those alone"
        )


def read_usage(folder: Path) -> Usage:
    """What all finished shards of the folder used."""
    return _Account(folder).total()


class _Account:
    """A line a finished shard: what its samples used. Differs between runs that made the same."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder / USAGE_FILE, {"account": "a line a finished shard"})
        self._used = {entry.pop("shard"): Usage(**entry) for entry in self._journal.entries()}

    def add(self, shard: Shard, used: Usage) -> None:
        if shard.path.name not in self._used:
            self._used[shard.path.name] = used
            self._journal.append({"shard": shard.path.name, **asdict(used)})

    def total(self) -> Usage:
        return sum(self._used.values(), Usage())


class _Begun:
    """A shard and its journal: what is there, and what is missing."""

    def __init__(self, shard: Shard, settings: Mapping[str, object], seed: int) -> None:
        self.shard = shard
        self.num_samples = len(shard.questions) * shard.num_rollouts
        self._seed = seed
        self._journal = Journal(shard.journal_path, settings)
        entries = self._journal.entries()
        self._is_open = not shard.is_written or shard.journal_path.exists()
        self._check(entries)
        self._done = {_key(entry) for entry in entries if "response" in entry}
        self.used = _used(entries)

    @property
    def num_missing(self) -> int:
        return 0 if self.shard.is_written else self.num_samples - len(self._done)

    def missing(self) -> list[Job]:
        """The samples to take, all at once: what is done is forgotten when the shard is whole."""
        if not self.num_missing:
            return []
        return [
            (question, index)
            for question in self.shard.questions
            for index in range(self.shard.num_rollouts)
            if (question.id, index) not in self._done
        ]

    def keep(self, sample: Sample) -> None:
        """Put what became of a sample into the journal."""
        used = asdict(sample.usage)
        if sample.rollout is None:
            failed = {"question_id": sample.question_id, "index": sample.index}
            self._journal.append({**failed, "failure": sample.failure, "usage": used})
            return
        self._journal.append({**asdict(sample.rollout), "usage": used})
        self._done.add((sample.question_id, sample.index))

    def finish_if_whole(self, account: _Account) -> None:
        """Write the shard and close its account, each once, in an order that a kill may cut."""
        if not self._is_open or self.num_missing:
            return
        entries = self._journal.entries()
        if not self.shard.is_written:
            self.shard.write({_key(e): _rollout(e) for e in entries if "response" in e}.values())
        account.add(self.shard, _used(entries))
        self._journal.remove()
        self._is_open = False
        self._done.clear()
        self.used = Usage()

    def _check(self, entries: Sequence[Entry]) -> None:
        """A sample of another question, index or seed belongs to another run."""
        ids = {question.id for question in self.shard.questions}
        for entry in entries:
            question_id, index = _key(entry)
            seed = derive_seed(self._seed, question_id, index)
            is_ours = question_id in ids and 0 <= index < self.shard.num_rollouts
            if not is_ours or entry.get("seed", seed) != seed:
                raise foreign(self.shard.journal_path)


def _key(entry: Entry) -> tuple[str, int]:
    return str(entry["question_id"]), int(entry["index"])


def _used(entries: Sequence[Entry]) -> Usage:
    return sum((Usage(**entry["usage"]) for entry in entries), Usage())


def _rollout(entry: Entry) -> Rollout:
    return Rollout(**{name: value for name, value in entry.items() if name != "usage"})
