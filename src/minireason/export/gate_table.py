"""The gate for people: a table for the terminal, and a section of the export's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from minireason.evaluate.ladder import interval_text, percent
from minireason.export.gate_result import Estimate, Gate, Loss, Responses
from minireason.export.judging import loss_points

ABSENT = "-"
MIB = 1 << 20


class Row(NamedTuple):
    """One figure: of the original, of the export, and what lies between them."""

    name: str
    original: str
    exported: str
    change: str


def rows(gate: Gate) -> list[Row]:
    """What was measured, in the order in which it matters."""
    return [*_accuracy(gate), *_responses(gate), *_agreement(gate), *_footprints(gate)]


def verdict(gate: Gate) -> str:
    """One line."""
    if gate.not_run:
        return f"not measured: {gate.not_run}"
    return "passed" if gate.is_passed else f"failed: {'; '.join(gate.failures)}"


def show_gate(gate: Gate, console: Console) -> None:
    """Print the table, and what it means: failures, doubts, and what to try."""
    if rows(gate):
        console.print(gate_table(gate))
    lines = [f"gate {verdict(gate)}", *gate.doubts, *(f"try {line}" for line in gate.advice)]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def gate_table(gate: Gate) -> Table:
    """A row a figure."""
    table = Table(
        title=f"export beside {escape(gate.original)}",
        caption="(questions x samples); 95 % intervals; loss in points, paired by question",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("", style="bold")
    for name in ("original", "export", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows(gate):
        # not `escape`: it leaves brackets around numbers alone
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    return table


def card_section(gate: Gate) -> str:
    """The gate in Markdown, without a heading."""
    lines = [f"**The gate {verdict(gate)}.**" if not gate.not_run else f"**{verdict(gate)}**"]
    if measured := rows(gate):
        lines += ["", "| | original | export | change |", "|---|---:|---:|---:|"]
        lines += [f"| {' | '.join(row)} |" for row in measured]
        lines += ["", how_measured(gate)]
    lines += [f"\n- {line}" for line in gate.doubts]
    return "\n".join(lines)


def how_measured(gate: Gate) -> str:
    """What was asked, in a paragraph."""
    s = gate.settings
    told = (
        f"Greedy responses of at most {s['max_tokens']:,} tokens{_sampled(s)}; intervals are 95 %, "
        f"the loss is in points and paired by question. Allowed are a loss of {s['most_loss']:g} "
        f"points and {s['most_loops']:g} points more loops."
    )
    if gate.following is not None:
        told += (
            f" Log-probabilities are those of the original's own responses "
            f"({gate.following.num_tokens:,} tokens), fed to both."
        )
    if found := gate.exported_footprint:
        told += (
            f" Times are medians of {found.num_rounds} rounds, CPU threads: {found.threads}; a "
            f"prompt of {found.num_prompt} tokens, then {found.num_timed} one at a time; the "
            f"original under transformers in float32 on the CPU, each in a process of its own."
        )
    return told


def _sampled(settings: Mapping[str, Any]) -> str:
    if not settings["num_samples"]:
        return ""
    return (
        f"; accuracy and loops of {settings['num_samples']} samples a question at temperature "
        f"{settings['temperature']:g}, top-p {settings['top_p']:g}"
    )


def _accuracy(gate: Gate) -> list[Row]:
    found = dict(gate.benchmarks)
    if gate.overall is not None and len(found) != 1:
        found["all"] = gate.overall
    return [
        Row(
            f"accuracy %, {name} ({_size(one)})",
            percent(one.original),
            percent(one.exported),
            _loss(one),
        )
        for name, one in found.items()
    ]


def _size(one: Loss) -> str:
    each = f" x {one.num_samples}" if one.num_samples > 1 else ""
    return f"{one.num_questions:,}{each}"


def _loss(one: Loss) -> str:
    value, low, high = loss_points(one)
    return f"loss {value:.1f} [{low:.1f}, {high:.1f}]"


def _responses(gate: Gate) -> list[Row]:
    ours, theirs = gate.original_responses, gate.exported_responses
    if ours is None or theirs is None:
        return []
    return [
        Row("responses that end in a loop %", _loops(ours), _loops(theirs), ABSENT),
        Row("responses cut by the limit %", _cut(ours), _cut(theirs), ABSENT),
        Row("mean tokens", f"{ours.mean_tokens:,.0f}", f"{theirs.mean_tokens:,.0f}", ABSENT),
    ]


def _loops(one: Responses) -> str:
    return _interval(one.loop_rate)


def _cut(one: Responses) -> str:
    return percent(one.num_cut / one.num_responses)


def _agreement(gate: Gate) -> list[Row]:
    found = []
    if (whole := gate.agreement) is not None:
        found += [
            Row("whole responses identical %", ABSENT, _interval(whole.identical), ABSENT),
            Row(
                "tokens before the first difference %",
                ABSENT,
                _interval(whole.before_difference),
                ABSENT,
            ),
        ]
    if (along := gate.following) is not None:
        found += [
            Row("same likeliest token %", ABSENT, _interval(along.argmax), ABSENT),
            Row(
                "log-probability distance, mean (95th percentile), nats",
                ABSENT,
                f"{along.distance.value:.4f} ({along.distance_p95:.4f})",
                ABSENT,
            ),
            Row("KL(original, export), nats a token", ABSENT, f"{along.kl.value:.5f}", ABSENT),
        ]
    return found


def _interval(one: Estimate) -> str:
    return f"{percent(one.value)} {interval_text(one.low, one.high)}"


def _footprints(gate: Gate) -> list[Row]:
    ours, theirs = gate.original_footprint, gate.exported_footprint
    if ours is None or theirs is None:
        return []
    return [
        _cost("weights, MiB", ours.weight_bytes / MIB, theirs.weight_bytes / MIB, ",.1f"),
        _cost("load, s", ours.load_s, theirs.load_s, ".2f"),
        _cost("first token, ms", 1000 * ours.first_token_s, 1000 * theirs.first_token_s, ",.1f"),
        _cost("tokens/s", ours.tokens_per_s, theirs.tokens_per_s, ",.0f"),
        _cost("peak memory, MiB", ours.peak_bytes / MIB, theirs.peak_bytes / MIB, ",.0f"),
    ]


def _cost(name: str, ours: float, theirs: float, form: str) -> Row:
    return Row(name, format(ours, form), format(theirs, form), f"x {theirs / ours:.3g}")
