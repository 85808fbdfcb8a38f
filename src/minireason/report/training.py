"""Training curves: which metrics each stage shows, and its facts in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from minireason.report.charts import Line, line_chart
from minireason.report.overview import rung_label
from minireason.report.run_data import STAGES, Points, RunData, Stage
from minireason.report.scales import compact, duration

_Panels = list[tuple[str, dict[str, str]]]

_OPTIMISER: _Panels = [
    ("Gradient norm", {"grad_norm": "norm"}),
    ("Learning rate", {"lr": "lr"}),
]
_IMITATION: _Panels = [
    ("Loss", {"loss": "loss"}),
    ("Held-out loss", {"validation_loss": "loss"}),
    *_OPTIMISER,
]
PANELS: dict[str, _Panels] = {
    "pretrain": _IMITATION,
    "midtrain": _IMITATION,
    "sft": _IMITATION,
    "dpo": [
        ("Loss", {"loss": "loss"}),
        ("Preference accuracy", {"accuracy": "accuracy"}),
        ("Reward margin", {"margin": "margin"}),
        ("Implicit rewards", {"chosen_reward": "chosen", "rejected_reward": "rejected"}),
        *_OPTIMISER,
    ],
    "rlvr": [
        ("Mean reward", {"reward_mean": "reward"}),
        ("Pass rate", {"pass_rate": "pass rate"}),
        ("Accept rate", {"accept_rate": "accepted"}),
        ("Sampling temperature", {"temperature": "temperature"}),
        ("Entropy", {"entropy": "entropy"}),
        ("Response tokens", {"mean_tokens": "tokens"}),
        (
            "Truncated and clipped share",
            {"truncation_rate": "truncated", "clip_fraction": "clipped"},
        ),
        ("Loss", {"loss": "loss"}),
        ("Gradient norm", {"grad_norm": "norm"}),
    ],
}


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled chart; `note` gives first and last value, `warning` what the chart leaves out."""

    title: str
    note: str
    warning: str
    chart: Markup


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage as the page shows it; no panels when it has not run."""

    name: str
    label: str
    facts: str
    panels: list[Panel]


def stage_views(run: RunData) -> list[StageView]:
    """The stages in order; the recipe's four also where they have not run."""
    shown = [name for name in STAGES if name != "pretrain" or name in run.stages]
    return [_view(name, run.stages.get(name)) for name in shown]


def _view(name: str, stage: Stage | None) -> StageView:
    if stage is None:
        return StageView(name, rung_label(name), "", [])
    panels = [
        _panel(title, curves)
        for title, keys in PANELS[name]
        if (curves := {keys[key]: stage.metrics[key] for key in keys if key in stage.metrics})
    ]
    return StageView(name, rung_label(name), _facts(stage), panels)


def _panel(title: str, curves: dict[str, Points]) -> Panel:
    lines = [Line(label, curve) for label, curve in curves.items()]
    skipped = sum(not math.isfinite(v) for curve in curves.values() for _, v in curve)
    warning = f"{skipped} values are not finite and not drawn" if skipped else ""
    ends = next(iter(curves.values()))
    note = f"{compact(ends[0][1])} → {compact(ends[-1][1])}" if len(lines) == 1 else ""
    return Panel(title, note, warning, line_chart(lines, f"{title} over steps"))


def _facts(stage: Stage) -> str:
    steps = {step for curve in stage.metrics.values() for step, _ in curve}
    facts = [f"{len(steps):,} logged steps"]
    if tokens := stage.metrics.get("num_tokens"):
        facts.append(f"{compact(sum(value for _, value in tokens))} tokens")
    if elapsed := stage.timing.get("elapsed_s"):
        facts.append(duration(sum(value for _, value in elapsed)))
    if speeds := stage.timing.get("tokens_per_s"):
        facts.append(f"{compact(median(value for _, value in speeds))} tokens/s")
    if shares := stage.timing.get("mfu"):
        facts.append(f"{100 * median(value for _, value in shares):.1f} % MFU")
    if peaks := stage.timing.get("peak_memory_gib"):
        facts.append(f"{max(value for _, value in peaks):.1f} GiB at most")
    return " · ".join(facts)
