"""An ablation on the terminal, as JSON, as Markdown, and as a page with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from minireason.ablation.estimates import Estimate
from minireason.ablation.sheets import (
    Sheet,
    Text,
    lead,
    main_benchmark,
    sheets,
    tokens_text,
)
from minireason.ablation.sheets import (
    factor_text as factor,
)
from minireason.ablation.summary import Summary
from minireason.evaluate.ladder import percent, points
from minireason.report import charts
from minireason.report.render import write_page
from minireason.runfolder import write_json, write_text


def write_all(summary: Summary, out: Path) -> Path:
    """Write `ablation.json`, `.md` and `.html`; return the path of the page."""
    write_json(out / "ablation.json", summary.as_dict())
    write_text(out / "ablation.md", markdown(summary))
    values = {
        "run": {"name": summary.name, "created": ""},
        "lead": lead(summary),
        "charts": pictures(summary),
        "sheets": sheets(summary),
    }
    return write_page(out / "ablation.html", "ablation.html", values)


def tables(summary: Summary) -> list[Table]:
    """The tables for a terminal."""
    found = []
    for sheet in sheets(summary):
        table = Table(title=sheet.title, caption=sheet.note, show_lines=True)
        for number, name in enumerate(sheet.headers):
            table.add_column(name, style="bold" if not number else None)
        for row in sheet.rows:
            table.add_row(*(escape(cell.replace(" [", "\n[")) for cell in row))
        found.append(table)
    return found


def markdown(summary: Summary) -> str:
    """The tables as a Markdown page."""
    parts = [f"# Ablation of {summary.name}", lead(summary)]
    for sheet in sheets(summary):
        parts += [f"## {sheet.title}", sheet.note, _markdown_table(sheet)]
    return "\n\n".join(parts) + "\n"


def pictures(summary: Summary) -> list[tuple[str, str, Markup]]:
    """Accuracy, zero-signal share and noise by variant; what each toggle and comparison changes."""
    name, rows = main_benchmark(summary), summary.rows
    before = [("before RLVR", summary.before[name])]
    found: list[tuple[str, str, Sequence[tuple[str, Estimate | None]], Text]] = [
        ("Accuracy, %", name, [*before, *((r.label, r.accuracy[name]) for r in rows)], percent),
        ("Groups without signal, %", "share", [(r.label, r.zero_signal) for r in rows], percent),
        ("Gradient noise scale", "tokens", [(r.label, r.noise_scale) for r in rows], tokens_text),
    ]
    shown = [(t, note, _dots(t, values, text)) for t, note, values, text in found]
    changes = [*summary.effects, *summary.comparisons]
    differences: list[tuple[str, str, list[tuple[str, Estimate | None]], Text, float]] = [
        ("Change of accuracy", "points", [(c.name, c.accuracy[name]) for c in changes], points, 0),
        ("Change of that share", "points", [(c.name, c.zero_signal) for c in changes], points, 0),
        ("Change of the scale", "factor", [(c.name, c.noise_scale) for c in changes], factor, 1),
    ]
    shown += [(t, note, _dots(t, values, text, at)) for t, note, values, text, at in differences]
    return [(title, note, chart) for title, note, chart in shown if chart]


def _dots(
    title: str,
    values: Sequence[tuple[str, Estimate | None]],
    text: Text,
    null: float | None = None,
) -> Markup:
    """The values that there are, nothing for none; firm where beyond the null, if there is one."""
    drawn = []
    for label, value in values:
        if value is None:
            continue
        low = value.value if value.low is None else value.low
        high = value.value if value.high is None else value.high
        is_firm = null is None or value.is_beyond(null)
        hint = f"{label}: {text(value.value)} [{text(low)}, {text(high)}]"
        drawn.append(charts.Estimate(label, value.value, low, high, is_firm, hint))
    return charts.dot_chart(drawn, title, text, null) if drawn else Markup("")


def _markdown_table(sheet: Sheet) -> str:
    lines = [sheet.headers, ["---"] * len(sheet.headers), *sheet.rows]
    return "\n".join(f"| {' | '.join(map(_in_table, line))} |" for line in lines)


def _in_table(cell: str) -> str:
    return cell.replace("|", "\\|")
