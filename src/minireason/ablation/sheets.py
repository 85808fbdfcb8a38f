"""An ablation as tables of texts, the same for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minireason.ablation.estimates import Estimate
from minireason.ablation.summary import ALL, Contrast, Row, Summary
from minireason.evaluate.ladder import percent, points
from minireason.report.scales import compact

Text = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A titled table; the first cell of a row names it."""

    title: str
    note: str
    headers: list[str]
    rows: list[list[str]]


def lead(summary: Summary) -> str:
    """What was compared, in a sentence."""
    num_runs = sum(row.num_seeds for row in summary.rows)
    return (
        f"{len(summary.rows)} variants of RLVR in {num_runs} runs of {summary.tokens:,} generated "
        "tokens each, from one and the same model."
    )


def sheets(summary: Summary) -> list[Sheet]:
    """The variants, what each toggle is worth, and the comparisons, as far as there are any."""
    found = [_variants(summary)]
    if summary.effects:
        note = (
            "With less without, over the pairs of variants that differ in nothing else, seed by "
            "seed. ▲ ▼ beyond the 95 % interval, ≈ not; the noise scale is a factor."
        )
        found.append(_contrasts("What each is worth", note, "toggle", summary.effects))
    if summary.comparisons:
        note = "The first less the second, seed by seed."
        found.append(_contrasts("Comparisons", note, "variants", summary.comparisons))
    if summary.failed:
        rows = [[name, why] for name, why in summary.failed.items()]
        note = "They are not in the numbers; the same command tries them again."
        found.append(Sheet("Runs that failed", note, ["run", "why"], rows))
    return found


def main_benchmark(summary: Summary) -> str:
    """All benchmarks together, or the only one."""
    return ALL if ALL in summary.before else next(iter(summary.before))


def tokens_text(tokens: float) -> str:
    return compact(round(tokens))


def signed(value: float) -> str:
    text = f"{value:+.3f}"
    return text.replace("-", "−")


def factor_text(factor: float) -> str:
    return f"×{factor:.2f}"


def _variants(summary: Summary) -> Sheet:
    """A row a variant, after the model that all of them start from."""
    names = list(summary.before)
    rest = ["zero signal %", "noise scale", "noise of a step", "reward", "response", "tokens"]
    start = [_cell(summary.before[name], percent) for name in names]
    rows = [["before RLVR", "", *start, *[""] * (len(rest) + 1)]]
    rows += [_variant(row, names) for row in summary.rows]
    note = (
        "pass@1 in %, with 95 % intervals over questions and seeds; the others over seeds. The "
        "noise scale is the number of generated tokens at which the gradient's noise equals its "
        "signal, less is better; reward and response tokens are of the last quarter of the steps."
    )
    return Sheet("Variants", note, ["variant", "seeds", *names, *rest, "steps"], rows)


def _variant(row: Row, names: Sequence[str]) -> list[str]:
    return [
        row.label,
        str(row.num_seeds),
        *(_cell(row.accuracy[name], percent) for name in names),
        _cell(row.zero_signal, percent),
        _cell(row.noise_scale, tokens_text),
        _cell(row.noise, compact),
        _cell(row.reward, signed),
        _cell(row.response_tokens, tokens_text),
        f"{row.generated_tokens:,.0f}",
        f"{row.num_steps:.0f}",
    ]


def _contrasts(title: str, note: str, what: str, contrasts: Sequence[Contrast]) -> Sheet:
    names = list(contrasts[0].accuracy)
    headers = [what, "pairs", "seeds", *names, "zero signal", "reward", "noise scale"]
    rows = [
        [
            each.name,
            str(each.num_pairs),
            str(each.num_seeds),
            *(_change(each.accuracy[name], points) for name in names),
            _change(each.zero_signal, points),
            _change(each.reward, signed),
            _change(each.noise_scale, factor_text, null=1.0),
        ]
        for each in contrasts
    ]
    return Sheet(title, note, headers, rows)


def _cell(estimate: Estimate | None, text: Text) -> str:
    """A value and its interval; a dash where noise hides the value."""
    if estimate is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return text(estimate.value)
    return f"{text(estimate.value)} [{text(estimate.low)}, {text(estimate.high)}]"


def _change(estimate: Estimate | None, text: Text, null: float = 0.0) -> str:
    """The same with its mark, where there is an interval to lie beyond."""
    cell = _cell(estimate, text)
    if estimate is None or estimate.low is None:
        return cell
    mark = ("▲" if estimate.value > null else "▼") if estimate.is_beyond(null) else "≈"
    return f"{mark} {cell}"
