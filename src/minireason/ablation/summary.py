"""What the finished runs say: each variant by itself, and variants in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minireason.ablation.design import Study, Variant, spaced
from minireason.ablation.estimates import (
    CHANGE,
    SHARE,
    Estimate,
    accuracy,
    difference,
    factor_of,
    mean_of,
    ratio_of,
)
from minireason.ablation.outcome import Outcome
from minireason.errors import DataError
from minireason.evaluate.intervals import FloatArray
from minireason.evaluate.metrics import Grid

ALL = "all questions"
Outcomes = Mapping[Variant, Mapping[int, Outcome]]
"""What came of each variant, by seed."""
Pairs = Sequence[tuple[Variant, Variant]]


@dataclass(frozen=True, slots=True)
class Row:
    """A variant over its seeds.

    `noise` is the gradient's, relative to its mean, of a step of `tokens_per_step`; `noise_scale`
    is their product, in tokens. Both are None where the mean gradient is lost in the noise.
    """

    name: str
    label: str
    on: tuple[str, ...]
    num_seeds: int
    accuracy: dict[str, Estimate]
    zero_signal: Estimate
    reward: Estimate
    response_tokens: Estimate
    generated_tokens: float
    num_steps: float
    noise: Estimate | None
    tokens_per_step: float
    noise_scale: Estimate | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """The first of each pair of variants less the second, seed by seed, on average.

    `noise_scale` is a factor, of the first over the second.
    """

    name: str
    num_pairs: int
    num_seeds: int
    accuracy: dict[str, Estimate]
    zero_signal: Estimate
    reward: Estimate
    noise_scale: Estimate | None

    @property
    def size(self) -> str:
        return f"{self.num_pairs} × {self.num_seeds}"


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is reported; `before` is the accuracy of the model that every variant starts from,
    and `failed` says of each run that is missing why."""

    name: str
    tokens: int
    study: Study
    before: dict[str, Estimate]
    rows: list[Row]
    effects: list[Contrast]
    comparisons: list[Contrast]
    failed: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def start_of(grids: Mapping[str, Grid]) -> dict[str, Estimate]:
    """The accuracy of one evaluation, by benchmark and together."""
    return _accuracies([grids])


def rows_of(study: Study, outcomes: Outcomes) -> list[Row]:
    """Each variant by itself."""
    return [
        _row(variant, variant.label(study.toggles), list(by_seed.values()))
        for variant, by_seed in outcomes.items()
    ]


def effects_of(study: Study, outcomes: Outcomes) -> list[Contrast]:
    """Each toggle: with it less without it, over the pairs of variants that differ in it alone."""
    pairs = {toggle: study.pairs(list(outcomes), toggle) for toggle in study.toggles}
    found = (contrast(spaced(toggle), chosen, outcomes) for toggle, chosen in pairs.items())
    return [effect for effect in found if effect]


def comparisons_of(study: Study, outcomes: Outcomes, algorithm: str) -> list[Contrast]:
    """All toggles together, and the variants with all and with none against other algorithms."""
    every, none = Variant(algorithm, study.toggles), Variant(algorithm)
    pairs = [(every, none)] if len(study.toggles) > 1 else []
    pairs += [(own, Variant(other)) for other in study.against for own in (every, none)]
    names = [" against ".join(v.label(study.toggles) for v in pair) for pair in pairs]
    found = (contrast(name, [pair], outcomes) for name, pair in zip(names, pairs, strict=True))
    return [comparison for comparison in found if comparison]


def contrast(name: str, pairs: Pairs, outcomes: Outcomes) -> Contrast | None:
    """Compare in pairs of variants and seeds; None where there is no such pair."""
    units = [
        (outcomes[one][seed], outcomes[other][seed])
        for one, other in pairs
        for seed in outcomes.get(one, {})
        if seed in outcomes.get(other, {})
    ]
    if not units:
        return None
    whole = [pair for pair in pairs if all(variant in outcomes for variant in pair)]
    return Contrast(
        name=name,
        num_pairs=len(whole),
        num_seeds=max(len(outcomes[variant]) for pair in whole for variant in pair),
        accuracy=_differences(units),
        zero_signal=mean_of([a.zero_signal - b.zero_signal for a, b in units], CHANGE),
        reward=mean_of([a.reward - b.reward for a, b in units]),
        noise_scale=_noise_factor(whole, outcomes),
    )


def _row(variant: Variant, label: str, runs: Sequence[Outcome]) -> Row:
    return Row(
        name=variant.name,
        label=label,
        on=variant.on,
        num_seeds=len(runs),
        accuracy=_accuracies([run.grids for run in runs]),
        zero_signal=mean_of([run.zero_signal for run in runs], SHARE),
        reward=mean_of([run.reward for run in runs]),
        response_tokens=mean_of([run.response_tokens for run in runs]),
        generated_tokens=float(np.mean([run.generated_tokens for run in runs])),
        num_steps=float(np.mean([run.num_steps for run in runs])),
        noise=_noise(runs, per_token=False),
        tokens_per_step=float(np.mean([run.noise["tokens_per_step"] for run in runs])),
        noise_scale=_noise(runs, per_token=True),
    )


def _noise(runs: Sequence[Outcome], *, per_token: bool) -> Estimate | None:
    """The gradient's variance over its squared mean; times the tokens of a step if asked for."""
    tokens = [run.noise["tokens_per_step"] if per_token else 1.0 for run in runs]
    variances = [run.noise["variance"] * n for run, n in zip(runs, tokens, strict=True)]
    return ratio_of(variances, [run.noise["squared_mean"] for run in runs])


def _noise_factor(pairs: Pairs, outcomes: Outcomes) -> Estimate | None:
    """The noise scale of the first over that of the second, over pairs whose scales are known."""
    factors = []
    for pair in pairs:
        one, other = (_noise(list(outcomes[v].values()), per_token=True) for v in pair)
        if one and other and one.value > 0 and other.value > 0:
            factors.append(one.value / other.value)
    return factor_of(factors) if factors else None


def _accuracies(grids: Sequence[Mapping[str, Grid]]) -> dict[str, Estimate]:
    tables, num_samples = _tables(grids)
    return {name: accuracy(rates_SQ, num_samples) for name, rates_SQ in tables.items()}


def _differences(units: Sequence[tuple[Outcome, Outcome]]) -> dict[str, Estimate]:
    sides, num_samples = _tables([run.grids for unit in units for run in unit])
    return {
        name: difference(rates[0::2] - rates[1::2], num_samples) for name, rates in sides.items()
    }


def _tables(grids: Sequence[Mapping[str, Grid]]) -> tuple[dict[str, FloatArray], int]:
    """Pass rates [runs, questions] by benchmark, and of all together; the samples of each rate.

    Raises DataError where the runs have not answered the same questions.
    """
    first = grids[0]
    for other in grids[1:]:
        if {n: grid.ids for n, grid in other.items()} != {n: g.ids for n, g in first.items()}:
            raise DataError(
                "two variants were asked different questions; evaluate both on one set, in "
                "another --out"
            )
    tables = {name: np.stack([each[name].rates for each in grids]) for name in first}
    if len(tables) > 1:
        tables[ALL] = np.concatenate(list(tables.values()), axis=1)
    return tables, min(grid.is_correct.shape[1] for each in grids for grid in each.values())
