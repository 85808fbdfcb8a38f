"""The account of a selection: rows and tokens in and out, and what was dropped, by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from minireason.errors import DataError


@dataclass(slots=True)
class Ledger:
    """Counts of one selection; what is not dropped is out. Tokens count where they are known."""

    num_in: int = 0
    tokens_in: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    tokens_dropped: Counter[str] = field(default_factory=Counter)

    def take(self, num_rows: int = 1, num_tokens: int = 0) -> None:
        """Account for rows that come in."""
        self.num_in += num_rows
        self.tokens_in += num_tokens

    def drop(self, reason: str, num_rows: int = 1, num_tokens: int = 0) -> None:
        """Account for rows that leave the selection."""
        if num_rows:
            self.dropped[reason] += num_rows
            self.tokens_dropped[reason] += num_tokens

    @property
    def num_out(self) -> int:
        """Rows that no filter dropped."""
        return self.num_in - self.dropped.total()

    @property
    def tokens_out(self) -> int:
        """Tokens of the rows that no filter dropped."""
        return self.tokens_in - self.tokens_dropped.total()

    def close(self, num_out: int, what: str, *, may_be_empty: bool = False) -> None:
        """Balance the account against the rows really selected.

        Raises DataError naming the filter that emptied the selection, unless it may be empty, and
        RuntimeError where a row was lost or counted twice, which is a mistake in the selection and
        not in the data.
        """
        if num_out != self.num_out:
            raise RuntimeError(
                f"{what}: {self.num_in} in, {self.dropped.total()} dropped, but {num_out} out"
            )
        if num_out or may_be_empty:
            return
        if not self.dropped:
            raise DataError(f"no {what}: the input is empty")
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.most_common())
        raise DataError(
            f"no {what} left of {self.num_in} rows; dropped: {reasons}; "
            f"loosen the first of these filters or give more data"
        )

    def as_dict(self, prefix: str = "") -> dict[str, int]:
        """`in`, `out` and one `dropped: reason` entry a reason, for a manifest; all prefixed.

        The same of tokens (`tokens in`, ...) where they were counted.
        """
        counts = _account("", self.num_in, self.num_out, self.dropped)
        if self.tokens_in:
            counts |= _account("tokens ", self.tokens_in, self.tokens_out, self.tokens_dropped)
        return {prefix + name: count for name, count in counts.items()}


def _account(unit: str, num_in: int, num_out: int, dropped: Counter[str]) -> dict[str, int]:
    reasons = {f"{unit}dropped: {reason}": dropped[reason] for reason in sorted(dropped)}
    return {f"{unit}in": num_in, f"{unit}out": num_out, **reasons}
