"""From the gate's figures to its verdict.

The verdict goes by the point estimate of the loss: a user has one export and must keep it or not.
Whether the gate was long enough to be sure is told beside it: 300 questions tell a loss of 2 points
from none only where the two models answer nearly all of them alike.
"""

from __future__ import annotations

import math

from minireason.edge.manifest import Manifest
from minireason.evaluate.ladder import percent
from minireason.export.advice import advice
from minireason.export.gate_result import Following, Gate, Loss
from minireason.export.gate_settings import GateSettings


def judged(gate: Gate, manifest: Manifest, settings: GateSettings, broken: str = "") -> Gate:
    """The gate with its failures, doubts and advice; `broken` is why it went no further."""
    defects = [broken] if broken else _defects(gate, settings)
    failures = defects + _losses(gate, settings)
    return gate.model_copy(
        update={
            "failures": tuple(failures),
            "doubts": tuple(_doubts(gate.overall, settings)),
            "advice": tuple(advice(manifest, is_broken=bool(defects)) if failures else ()),
        }
    )


def is_garbage(along: Following, settings: GateSettings) -> bool:
    """Whether the export's likeliest tokens have little to do with the original's."""
    return along.argmax.value < settings.least_agreement


def _defects(gate: Gate, settings: GateSettings) -> list[str]:
    found = []
    if (along := gate.following) is not None and is_garbage(along, settings):
        found.append(
            f"garbage: fed the original's responses, the export's likeliest token is the same at "
            f"{percent(along.argmax.value)} % of {along.num_tokens:,} positions; at least "
            f"{percent(settings.least_agreement)} %"
        )
    if gate.agreement is not None and gate.agreement.num_other_prompts:
        found.append(
            f"the export makes other token ids of {gate.agreement.num_other_prompts} of "
            f"{gate.agreement.num_responses} prompts: its tokenizer or chat template is another"
        )
    return found


def _losses(gate: Gate, settings: GateSettings) -> list[str]:
    found = []
    if gate.overall is not None and points(gate.overall.loss.value) > settings.most_loss:
        found.append(f"accuracy: {loss_text(gate.overall)}; at most {settings.most_loss:g}")
    ours, theirs = gate.original_responses, gate.exported_responses
    if ours is not None and theirs is not None:
        more = points(theirs.loop_rate.value - ours.loop_rate.value)
        if more > settings.most_loops:
            found.append(
                f"loops: {theirs.num_loops} of {theirs.num_responses} responses end in one, the "
                f"original's {ours.num_loops}: {more:.1f} points more; at most "
                f"{settings.most_loops:g}"
            )
    return found


def _doubts(overall: Loss | None, settings: GateSettings) -> list[str]:
    """What the loss cannot tell."""
    if overall is None:
        return []
    return [*_too_little_to_lose(overall, settings), *_too_few(overall, settings)]


def _too_little_to_lose(overall: Loss, settings: GateSettings) -> list[str]:
    """Whether the original answers so little that no export could fail."""
    if points(overall.original) > settings.most_loss:
        return []
    return [
        f"the original itself answers {percent(overall.original)} % correctly: a loss beyond "
        f"{settings.most_loss:g} points cannot show; ask a --benchmark that it can answer, or "
        "allow more --max-tokens, with `minireason gate`"
    ]


def _too_few(overall: Loss, settings: GateSettings) -> list[str]:
    """Whether the interval has the limit inside, and how many samples would narrow it to that."""
    (_, low, high), limit = loss_points(overall), settings.most_loss
    if not low <= limit < high:
        return []
    half = (high - low) / 2
    more = f"; it takes about {_needed(overall, half, limit):,} to tell {limit:g} points from none"
    return [
        f"{size_text(overall)} are too few to be sure: the loss may be anything from {low:.1f} to "
        f"{high:.1f} points{more if half > limit > 0 else ''}"
    ]


def _needed(overall: Loss, half: float, limit: float) -> int:
    """Samples for an interval of plus and minus the limit, to two digits.

    Widths shrink with the root of the number of questions; several samples of one do nearly as
    well, as long as most of the spread is that of the sampling.
    """
    needed = overall.num_questions * overall.num_samples * (half / limit) ** 2
    unit = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return math.ceil(needed / unit) * unit


def points(share: float) -> float:
    """A share in points, without what binary fractions add and without a sign of zero."""
    return round(100 * share, 9) + 0.0


def loss_points(found: Loss) -> tuple[float, float, float]:
    """A loss and the ends of its interval, in points."""
    return points(found.loss.value), points(found.loss.low), points(found.loss.high)


def loss_text(found: Loss) -> str:
    """`loss 1.3 points [-0.8, 3.4] on 300 questions`."""
    value, low, high = loss_points(found)
    return f"loss {value:.1f} points [{low:.1f}, {high:.1f}] on {size_text(found)}"


def size_text(found: Loss) -> str:
    """`300 questions`, or `300 questions x 4`."""
    each = f" x {found.num_samples}" if found.num_samples > 1 else ""
    return f"{found.num_questions:,} questions{each}"
