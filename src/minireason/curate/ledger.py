"""The account of a selection: rows in, rows out, and every dropped row under its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from minireason.errors import DataError


@dataclass(slots=True)
class Ledger:
    """Counts of one selection over `num_in` rows; what is not dropped is out."""

    num_in: int
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, num_rows: int = 1) -> None:
        """Account for rows that leave the selection."""
        if num_rows:
            self.dropped[reason] += num_rows

    @property
    def num_out(self) -> int:
        """Rows that no filter dropped."""
        return self.num_in - self.dropped.total()

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
        """`in`, `out` and one `dropped: reason` entry a reason, for a manifest; all prefixed."""
        counts = {"in": self.num_in, "out": self.num_out}
        counts |= {f"dropped: {r}": self.dropped[r] for r in sorted(self.dropped)}
        return {prefix + name: count for name, count in counts.items()}
