"""Two histograms in one chart: all rows, and in front of them those that are kept."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from minireason.report.charts import WIDTH, _rule, _svg, _text, _y_axis
from minireason.report.scales import Scale, compact, nice_ticks


def histogram_chart(
    edges: Sequence[float], counts: Sequence[int], kept: Sequence[int], label: str, what: str
) -> Markup:
    """Bars of equal width, one a bin; empty bins at either end are left out.

    `what` is the unit in the titles: `rollouts`, `questions`.
    """
    filled = [i for i, count in enumerate(counts) if count]
    if not filled:
        return _svg(60, label, [_text(WIDTH / 2, 34, "no values", "tick")])
    first, last = filled[0], filled[-1]
    height, left, right, bottom = 170, 44, WIDTH - 8, 146
    y = Scale(0, nice_ticks(0, max(counts))[-1], bottom, 10)
    pitch = (right - left) / (last - first + 1)
    parts = _y_axis(nice_ticks(0, max(counts)), y, left, right)
    form = '<rect x="{}" y="{}" width="{}" height="{}" class="{}"><title>{}</title></rect>'
    for place, i in enumerate(range(first, last + 1)):
        x = round(left + place * pitch + 0.6, 1)
        title = (
            f"{compact(edges[i])} to {compact(edges[i + 1])}: {counts[i]:,} {what}, "
            f"{kept[i]:,} kept"
        )
        for count, style in ((counts[i], "bin all"), (kept[i], "bin chosen")):
            if count:
                size = max(round(bottom - y(count), 1), 1.0)
                width = round(pitch - 1.2, 1)
                parts.append(
                    Markup(form).format(x, round(bottom - size, 1), width, size, style, title)
                )
    parts.append(_rule(left, bottom, right, bottom, "axis"))
    every = max(1, (last - first + 1) // 5)
    for place in range(0, last - first + 2, every):
        at = round(left + place * pitch, 1)
        parts.append(_text(at, height - 7, compact(edges[first + place]), "tick"))
    return _svg(height, label, parts)
