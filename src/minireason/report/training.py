"""Training curves: which metrics each stage shows, and its facts in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median

from markupsafe import Markup

from minireason.report.charts import Line, line_chart
from minireason.report.overview import rung_label
from minireason.report.run_data import STAGES, Points, RunData, Stage
from minireason.report.scales import compact, duration

_Panels = list[tuple[str, dict[str, str]]]  # title, and its curves: metric -> label

_OPTIMISER: _Panels = [
    ("Gradient norm", {"grad_norm": "norm"}),
    ("Learning rate", {"lr": "lr"}),
]
_IMITATION: _Panels = [
    ("Loss", {"loss": "loss"}),
    ("Held-out loss", {"validation_loss": "loss"}),
    *_OPTIMISER,
]
PANELS: dict[str, dict[str, _Panels]] = {
    "pretrain": {"": _IMITATION},
    "midtrain": {"": _IMITATION},
    "sft": {"": _IMITATION},
    "dpo": {
        "": [
            ("Loss", {"loss": "loss"}),
            ("Preference accuracy", {"accuracy": "accuracy"}),
            ("Reward margin", {"margin": "margin"}),
            ("Implicit rewards", {"chosen_reward": "chosen", "rejected_reward": "rejected"}),
            *_OPTIMISER,
        ]
    },
    "rlvr": {
        "Reward": [
            ("Mean reward", {"reward_mean": "reward"}),
            ("Pass rate", {"pass_rate": "pass rate"}),
            ("Groups without signal", {"zero_signal_rate": "share"}),
            ("Responses learnt from", {"num_kept": "responses"}),
            ("Accept rate", {"accept_rate": "accepted"}),
        ],
        "Length": [
            ("Response tokens", {"mean_tokens": "mean", "p95_tokens": "95 %"}),
            (
                "Response tokens by verdict",
                {"correct_tokens": "correct", "incorrect_tokens": "incorrect"},
            ),
            ("Truncated share", {"truncation_rate": "truncated"}),
            ("Generated tokens a step", {"generated_tokens": "tokens"}),
        ],
        "Policy": [
            ("Entropy", {"entropy": "entropy"}),
            ("Sampling temperature", {"temperature": "temperature"}),
            ("KL to the reference", {"kl": "KL"}),
            ("Probability ratio", {"ratio": "mean", "ratio_min": "least", "ratio_max": "most"}),
            ("Clipped share", {"clip_fraction": "clipped"}),
            ("Clipped by side", {"clip_low_fraction": "below", "clip_high_fraction": "above"}),
            ("Importance weight", {"importance": "weight"}),
            ("Staleness", {"staleness": "updates"}),
        ],
        "Optimiser": [("Loss", {"loss": "loss"}), *_OPTIMISER],
    },
}
_SPEEDS: _Panels = [
    ("Sampled tokens a second", {"sample_tokens_per_s": "tokens/s"}),
    ("Trained tokens a second", {"tokens_per_s": "tokens/s"}),
    ("Seconds a step", {"elapsed_s": "s"}),
]


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled chart; `note` gives first and last value, `warning` what the chart leaves out."""

    title: str
    note: str
    warning: str
    chart: Markup


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage as the page shows it: its panels by heading, none when it has not run."""

    name: str
    label: str
    facts: str
    panels: dict[str, list[Panel]]


def stage_views(run: RunData) -> list[StageView]:
    """The stages in order; the recipe's four also where they have not run."""
    shown = [name for name in STAGES if name != "pretrain" or name in run.stages]
    return [_view(name, run.stages.get(name)) for name in shown]


def _view(name: str, stage: Stage | None) -> StageView:
    if stage is None:
        return StageView(name, rung_label(name), "", {})
    groups = {heading: _panels(wanted, stage.metrics) for heading, wanted in PANELS[name].items()}
    if name == "rlvr":
        groups["Reward"] += _panels(_reward_parts(stage), stage.metrics)
        groups["Time"] = _panels(_SPEEDS, stage.timing) + _phases(stage)
    panels = {heading: found for heading, found in groups.items() if found}
    return StageView(name, rung_label(name), _facts(stage), panels)


def _reward_parts(stage: Stage) -> _Panels:
    """A panel for each `reward_<name>`, the unweighted reward of that name."""
    names = [key.removeprefix("reward_") for key in stage.metrics if key.startswith("reward_")]
    return [
        (f"Reward: {name.replace('_', ' ')}", {f"reward_{name}": "reward"})
        for name in names
        if name != "mean"
    ]


def _phases(stage: Stage) -> list[Panel]:
    """A panel for each phase, the largest first, with its share of the time of all steps."""
    total = sum(value for _, value in stage.timing.get("elapsed_s", []))
    spent = {
        key.removesuffix("_s"): sum(value for _, value in curve)
        for key, curve in stage.timing.items()
        if key.endswith("_s") and not key.endswith("_per_s") and key != "elapsed_s"
    }
    return [
        replace(
            _panel(f"Seconds: {name.replace('_', ' ')}", {"s": stage.timing[f"{name}_s"]}),
            note=f"{100 * spent[name] / total:.0f} % of the time" if total else "",
        )
        for name in sorted(spent, key=lambda name: -spent[name])
    ]


def _panels(wanted: _Panels, series: dict[str, Points]) -> list[Panel]:
    return [
        _panel(title, curves)
        for title, keys in wanted
        if (curves := {keys[key]: series[key] for key in keys if key in series})
    ]


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
    if speeds := stage.timing.get("sample_tokens_per_s"):
        facts.append(f"{compact(median(value for _, value in speeds))} sampled tokens/s")
    if shares := stage.timing.get("mfu"):
        facts.append(f"{100 * median(value for _, value in shares):.1f} % MFU")
    if peaks := stage.timing.get("peak_memory_gib"):
        facts.append(f"{max(value for _, value in peaks):.1f} GiB at most")
    return " · ".join(facts)
