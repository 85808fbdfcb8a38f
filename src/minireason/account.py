"""A step's counts as accounts: what came in, what went out, what was dropped and why.

Steps count in flat names: `in`, `out`, `dropped: truncated`, the same of tokens (`tokens in`), and
of each further set that they make (`sft in`, `sft tokens dropped: over the size`). Everything else
is a count of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_ENTRY = re.compile(r"(?:(?!tokens )(\w+) )?(tokens )?(in|out|dropped: (.+))")


@dataclass(slots=True)
class Account:
    """One set of rows: `name` is empty for the step's own; None is what was not counted."""

    name: str
    rows_in: int | None = None
    rows_out: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    tokens_dropped: dict[str, int] = field(default_factory=dict)

    @property
    def reasons(self) -> list[tuple[str, int, int | None]]:
        """(reason, rows, tokens) of what was dropped, the most rows first."""
        found = [(r, n, self.tokens_dropped.get(r)) for r, n in self.dropped.items() if n]
        return sorted(found, key=lambda item: -item[1])


def accounts(
    counts: Mapping[str, int | float],
) -> tuple[list[Account], dict[str, int | float]]:
    """The accounts of a step, its own first, and the counts that belong to none."""
    found: dict[str, Account] = {"": Account("")}
    others: dict[str, int | float] = {}
    for name, count in counts.items():
        match = _ENTRY.fullmatch(name)
        if match is None:
            others[name] = count
            continue
        account = found.setdefault(match[1] or "", Account(match[1] or ""))
        unit = "tokens" if match[2] else "rows"
        if not match[4]:
            setattr(account, f"{unit}_{match[3]}", int(count))
        elif match[2]:
            account.tokens_dropped[match[4]] = int(count)
        else:
            account.dropped[match[4]] = int(count)
    return list(found.values()), others


def account_lines(counts: Mapping[str, int | float]) -> list[str]:
    """A step's counts for the terminal: a line for each set, and under it each reason."""
    found, others = accounts(counts)
    lines = []
    for account in found:
        lines.append(_line(account, others if not account.name else {}))
        lines += [f"    − {_amount(rows, tokens)}  {r}" for r, rows, tokens in account.reasons]
    return lines


def _line(account: Account, others: Mapping[str, int | float]) -> str:
    parts = []
    if account.rows_in is not None:
        parts.append(f"in {_amount(account.rows_in, account.tokens_in)}")
    if account.rows_out is not None:
        parts.append(f"out {_amount(account.rows_out, account.tokens_out)}")
    parts += [f"{name} {count:,}" for name, count in others.items()]
    return (f"  {account.name}: " if account.name else "") + ", ".join(parts)


def _amount(rows: int, tokens: int | None) -> str:
    return f"{rows:,}" if tokens is None else f"{rows:,} ({tokens:,} tokens)"
