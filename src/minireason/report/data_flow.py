"""The data flow table: rows and tokens in, out, and dropped for which reason, a set a line."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.account import Account, accounts
from minireason.report.run_data import DATA_STEPS, STEPS, RunData, Step
from minireason.report.scales import duration


@dataclass(frozen=True, slots=True)
class FlowLine:
    """A set of rows as texts; `kept` is out / in as a percentage, None where unknown."""

    step: str
    has_run: bool
    rows_in: str = ""
    rows_out: str = ""
    tokens_in: str = ""
    tokens_out: str = ""
    kept: float | None = None
    dropped: tuple[tuple[str, str], ...] = ()
    other: tuple[tuple[str, str], ...] = ()
    seconds: str = ""


def flow_lines(run: RunData) -> list[FlowLine]:
    """The steps in order; a data step that has not run says so, a training stage is left out."""
    done = {step.name: step for step in run.steps}
    shown = [name for name in STEPS if name in done or name in DATA_STEPS]
    lines = (_lines(done[name]) if name in done else [FlowLine(name, False)] for name in shown)
    return [line for of_step in lines for line in of_step]


def _lines(step: Step) -> list[FlowLine]:
    """The step's own rows, and those of each further set that it makes."""
    found, others = accounts(step.rows)
    return [_line(step, account, {} if account.name else others) for account in found]


def _line(step: Step, account: Account, others: dict[str, int | float]) -> FlowLine:
    seconds = "" if step.seconds is None or account.name else duration(step.seconds)
    return FlowLine(
        step=f"{step.name}: {account.name}" if account.name else step.name,
        has_run=True,
        rows_in=_count(account.rows_in),
        rows_out=_count(account.rows_out),
        tokens_in="" if account.tokens_in is None else _count(account.tokens_in),
        tokens_out="" if account.tokens_out is None else _count(account.tokens_out),
        kept=_kept(account.rows_in, account.rows_out),
        dropped=tuple((reason, _count(rows)) for reason, rows, _ in account.reasons),
        other=tuple((name, _count(count)) for name, count in others.items()),
        seconds=seconds,
    )


def _kept(rows_in: int | None, rows_out: int | None) -> float | None:
    """out / in as a percentage; None for a step that multiplies rows."""
    if rows_in is None or rows_out is None:
        return None
    return 100 * rows_out / rows_in if 0 < rows_in >= rows_out else None


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"
