"""The results of a model for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from minireason.evaluate.ladder import interval_text, percent
from minireason.evaluate.results import BenchmarkResult, Results
from minireason.evaluate.schema import Rate
from minireason.evaluate.selection import SCORES

REST = ("tokens", "cut", "loops", "unknown")


def results_table(results: Results) -> Table:
    """A row a benchmark. Shares are percentages, intervals 95 %, clustered by question."""
    own = sorted({name for b in results.benchmarks.values() for name in b.best_of_n} - set(SCORES))
    told = [f"; {name.rpartition(':')[2]}: best by {name}" for name in own]
    table = Table(
        title=f"{escape(results.model)}, {_sampling(results)}",
        caption="in %, but tokens; best: of the highest mean log-probability"
        f"{escape(''.join(told))}; cut: by the limit",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("benchmark", style="bold", no_wrap=True)
    shown = [name.rpartition(":")[2] for name in own]
    for name in ("pass@1", "pass@k", "maj@k", "best", *shown, *REST):
        table.add_column(escape(name), justify="right", no_wrap=True)
    for name, found in results.benchmarks.items():
        table.add_row(f"{escape(name)}\n[dim]{_size(found)}[/dim]", *_cells(found, own))
    return table


def groups_table(results: Results) -> Table | None:
    """pass@1 by subject and by level, where a benchmark has more than one."""
    table = Table(title="pass@1 by subject and level")
    for name in ("benchmark", "group", "questions", "pass@1"):
        table.add_column(name, justify="right" if name in ("questions", "pass@1") else "left")
    for name, found in results.benchmarks.items():
        for groups in (found.by_domain, found.by_level):
            for group, rate in groups.items() if len(groups) > 1 else ():
                table.add_row(escape(name), escape(group), str(rate.num_questions), _rate(rate))
    return table if table.row_count else None


def _sampling(results: Results) -> str:
    s = results.sampling
    return (
        f"k = {s['samples']}, temperature {s['temperature']}, top-p {s['top_p']}, "
        f"at most {s['max_tokens']:,} tokens"
    )


def _size(found: BenchmarkResult) -> str:
    unfit = f", {found.num_unfit} did not fit" if found.num_unfit else ""
    return f"{found.num_questions} x {found.num_samples_each}{unfit}"


def _cells(found: BenchmarkResult, own: Sequence[str]) -> list[str]:
    k = str(found.num_samples_each)
    best = [found.best_of_n.get(name) for name in ("mean_logprob", *own)]
    shares = (found.truncation_rate, found.loop_rate, found.unknown_rate)
    return [
        _rate(found, "\n"),
        percent(found.pass_at_k[k].pass_at_1),
        percent(found.majority.pass_at_1),
        *(percent(rate.pass_at_1) if rate else "-" for rate in best),
        f"{found.mean_tokens:,.0f}" if found.mean_tokens else "-",  # a server that counts none
        *map(percent, shares),
    ]


def _rate(rate: Rate, between: str = " ") -> str:
    # not `escape`: it leaves brackets around numbers alone
    interval = interval_text(rate.ci_low, rate.ci_high).replace("[", r"\[")
    return f"{percent(rate.pass_at_1)}{between}{interval}"
