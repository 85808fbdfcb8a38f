"""Our side: the same `train` that every stage calls."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from beside_trl.data import layout
from beside_trl.setting import BATCH, BETA, SETTINGS, Clock
from minireason.model.load import load_model
from minireason.train.data import PackedData
from minireason.train.forward import score_units
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives.next_token import NextToken
from minireason.train.objectives.preference import LOSSES, Preference
from minireason.train.packing import TokenSequence, Unit


def sft(base: str, data: PackedData) -> Clock:
    clock = Clock()
    watcher = Watcher(
        lambda _, __, metrics, ___: clock.tick(metrics["num_tokens"], metrics["loss"])
    )
    learner = Learner(load_model(base).model, SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        train(learner, data, NextToken(), Path(folder), watcher)
    return clock


def dpo(base: str, units: Sequence[Unit], max_length: int, num_steps: int) -> tuple[Clock, Clock]:
    """The clocks of the reference pass and of training, in pairs."""
    language_model, reference, clock = load_model(base), Clock(), Clock()
    rows = 2 * max_length
    scored = []
    for start in range(0, num_steps * BATCH, BATCH):
        part = units[start : start + BATCH]
        scored += score_units(language_model.model, part, rows, BATCH)
        reference.tick(len(part))
    referenced = [
        [
            replace(sequence, values={"reference_logprobs": logprobs})
            for sequence, logprobs in zip(unit, both, strict=True)
        ]
        for unit, both in zip(units, scored, strict=False)
    ]
    data = PackedData(referenced, layout(rows, num_steps, packing=False), seed=0)
    watcher = Watcher(lambda _, __, metrics, ___: clock.tick(BATCH, metrics["loss"]))
    with tempfile.TemporaryDirectory() as folder:
        learner = Learner(language_model.model, SETTINGS)
        train(learner, data, Preference(LOSSES["dpo"], BETA), Path(folder), watcher)
    return reference, clock


def growth(base: str, ids: Sequence[Sequence[int]], resident: Callable[[bool], float]) -> float:
    """MiB that the first step adds at most."""
    units = [[TokenSequence(row, len(row) - 1)] for row in ids]
    data = PackedData(units, layout(max(map(len, ids)), 1, packing=False), seed=0)
    learner = Learner(load_model(base).model, SETTINGS)
    before = resident(False)
    with tempfile.TemporaryDirectory() as folder:
        train(learner, data, NextToken(), Path(folder))
    return resident(True) - before
