"""A step's timing line: phases, tokens a second, the share of the device's peak, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from minireason.model.flops import flop_cost
from minireason.train import meter
from minireason.train.meter import Meter
from minireason.train.packing import collate


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time that passes only when told."""
    now = [0.0]

    def pass_(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(meter.time, "perf_counter", lambda: now[0])
    return pass_


def test_seconds_go_to_their_phase_and_start_again_with_the_next_line(
    clock: Callable[[float], None], make_model: Callable[..., Any]
) -> None:
    made = Meter(make_model(), torch.device("cpu"), torch.float32)
    for _ in range(2):
        with made.time("data"):
            clock(0.5)
    with made.time("optimizer"):
        clock(1)
    clock(2)
    line = made.take(1, 100)
    assert line.pop("peak_memory_gib") > 0
    expected = {"step": 1, "elapsed_s": 4, "tokens_per_s": 25, "data_s": 1, "optimizer_s": 1}
    assert line == expected
    clock(1)
    assert made.take(2, 10).items() >= {"step": 2, "elapsed_s": 1, "tokens_per_s": 10}.items()
    clock(1)
    assert "data_s" not in made.take(3, 0)


def test_mfu_is_the_operations_over_the_time_and_the_peak(
    clock: Callable[[float], None],
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, batch = make_model(), collate([make_units(4)])
    operations = flop_cost(model).training(batch.lengths, batch.num_targets)
    monkeypatch.setattr(meter, "peak_flops", lambda device, dtype: operations)
    made = Meter(model, torch.device("cpu"), torch.float32)
    for _ in range(3):
        made.count(batch)
    clock(6)
    assert made.take(1, 1)["mfu"] == pytest.approx(0.5)


def test_a_device_of_unknown_peak_has_no_mfu(
    clock: Callable[[float], None], make_model: Callable[..., Any]
) -> None:
    made = Meter(make_model(), torch.device("cpu"), torch.float32)
    clock(1)
    assert "mfu" not in made.take(1, 1)
