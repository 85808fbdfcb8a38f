"""The data flow table: rows in, rows out, and what was dropped for which reason, a step a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minireason.report.run_data import DATA_STEPS, STEPS, RunData, Step
from minireason.report.scales import duration

_DROPPED = "dropped:"


@dataclass(frozen=True, slots=True)
class FlowLine:
    """A step of the data flow as texts; `kept` is out / in as a percentage, None where unknown."""

    step: str
    has_run: bool
    rows_in: str = ""
    rows_out: str = ""
    kept: float | None = None
    dropped: tuple[tuple[str, str], ...] = ()
    other: tuple[tuple[str, str], ...] = ()
    seconds: str = ""


def flow_lines(run: RunData) -> list[FlowLine]:
    """The steps in order; a data step that has not run says so, a training stage is left out."""
    done = {step.name: step for step in run.steps}
    shown = [name for name in STEPS if name in done or name in DATA_STEPS]
    return [_line(done[name]) if name in done else FlowLine(name, False) for name in shown]


def _line(step: Step) -> FlowLine:
    rows = _flatten(step.rows)
    rows_in, rows_out = rows.get("in"), rows.get("out")
    reasons = [(k.removeprefix(_DROPPED).strip(), v) for k, v in rows.items() if _is_drop(k)]
    reasons.sort(key=lambda item: -item[1] if isinstance(item[1], int | float) else 0)
    other = [(k, v) for k, v in rows.items() if k not in ("in", "out") and not _is_drop(k)]
    return FlowLine(
        step=step.name,
        has_run=True,
        rows_in=_count(rows_in),
        rows_out=_count(rows_out),
        kept=_kept(rows_in, rows_out),
        dropped=tuple((reason, _count(count)) for reason, count in reasons),
        other=tuple((name, _count(count)) for name, count in other),
        seconds="" if step.seconds is None else duration(step.seconds),
    )


def _kept(rows_in: Any, rows_out: Any) -> float | None:
    """out / in as a percentage; None for a step that multiplies rows."""
    if not isinstance(rows_in, int | float) or not isinstance(rows_out, int | float):
        return None
    return 100 * rows_out / rows_in if 0 < rows_in >= rows_out else None


def _is_drop(key: str) -> bool:
    return key.startswith(_DROPPED)


def _flatten(rows: dict[str, Any]) -> dict[str, Any]:
    """{"dropped": {"no answer": 3}} means the same as {"dropped: no answer": 3}."""
    flat: dict[str, Any] = {}
    for key, value in rows.items():
        if isinstance(value, dict):
            flat |= {f"{key}: {name}": count for name, count in value.items()}
        else:
            flat[key] = value
    return flat


def _count(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
