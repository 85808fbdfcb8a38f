"""An ablation as tables of texts, the same for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minireason.ablation.estimates import Estimate
from minireason.ablation.summary import ALL, Contrast, Summary
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
    """The variants and their differences, in accuracy and in training; and what failed."""
    found = [_accuracies(summary), _trainings(summary)]
    differences = [*summary.effects, *summary.comparisons]
    if differences:
        found += [_accuracy_changes(differences), _training_changes(differences)]
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


def _accuracies(summary: Summary) -> Sheet:
    """A row a variant, after the model that all of them start from."""
    names = list(summary.before)
    every = [("before RLVR", "", summary.before)]
    every += [(row.label, str(row.num_seeds), row.accuracy) for row in summary.rows]
    rows = [
        [label, seeds, *(_cell(found[name], percent) for name in names)]
        for label, seeds, found in every
    ]
    note = "pass@1 in %, with 95 % intervals over questions and seeds."
    return Sheet("Accuracy", note, ["variant", "seeds", *names], rows)


def _trainings(summary: Summary) -> Sheet:
    headers = ["variant", "zero signal %", "noise scale", "noise of a step", "reward", "response"]
    rows = [
        [
            row.label,
            _cell(row.zero_signal, percent),
            _cell(row.noise_scale, tokens_text),
            _cell(row.noise, compact),
            _cell(row.reward, signed),
            _cell(row.response_tokens, tokens_text),
            f"{row.generated_tokens:,.0f}",
            f"{row.num_steps:.0f}",
        ]
        for row in summary.rows
    ]
    note = (
        "Groups without signal, over all steps; generated tokens at which the gradient's noise "
        "equals its signal before the first update, less is better; that noise over signal for a "
        "step; reward and response tokens in the last quarter of the steps. 95 % intervals over "
        "seeds; a dash where the signal is lost in the noise (--noise-steps)."
    )
    return Sheet("Training", note, [*headers, "generated", "steps"], rows)


def _accuracy_changes(contrasts: Sequence[Contrast]) -> Sheet:
    names = list(contrasts[0].accuracy)
    rows = [
        [each.name, each.size, *(_change(each.accuracy[name], points) for name in names)]
        for each in contrasts
    ]
    note = (
        "In points. A toggle: with it less without it, over the pairs of variants that differ in "
        "nothing else, seed by seed; then the first variant less the second. ▲ ▼ beyond the 95 % "
        "interval over questions and runs, ≈ not."
    )
    return Sheet("Differences in accuracy", note, ["of", "pairs × seeds", *names], rows)


def _training_changes(contrasts: Sequence[Contrast]) -> Sheet:
    rows = [
        [
            each.name,
            each.size,
            _change(each.zero_signal, points),
            _change(each.noise_scale, factor_text, null=1.0),
            _change(each.reward, signed),
        ]
        for each in contrasts
    ]
    headers = ["of", "pairs × seeds", "zero signal, points", "noise scale, factor", "reward"]
    note = "95 % intervals over runs; those of the noise scale over pairs of variants."
    return Sheet("Differences in training", note, headers, rows)


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
