"""The ladder of a finished run as one SVG picture, the report's charts beside each other.

python benchmarks/ladder_picture.py runs/tiny docs/ladder.svg
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from minireason.report.charts import INTERVAL_HEIGHT, WIDTH
from minireason.report.overview import ladder_charts
from minireason.report.run_data import load_run

GAP, TITLE = 24, 34


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.write_text(picture(arguments.run), encoding="utf-8")


def picture(run: Path) -> str:
    """The charts in a row, with the report's colours for light and dark pages."""
    charts = ladder_charts(load_run(run))
    parts = []
    for place, (name, chart) in enumerate(charts):
        left = place * (WIDTH + GAP)
        title = f'<text x="{left + 8}" y="20" class="value">{name}, pass@1 in %</text>'
        size = f'<svg x="{left}" y="{TITLE}" width="{WIDTH}" height="{INTERVAL_HEIGHT}"'
        parts += [title, str(chart).replace("<svg", size, 1)]
    width, height = len(charts) * (WIDTH + GAP) - GAP, INTERVAL_HEIGHT + TITLE
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
    return "\n".join([frame, f"<style>{style()}</style>", *parts, "</svg>\n"])


def style() -> str:
    """Of the report's style sheet the colours and what is about charts."""
    sheet = files("minireason.report").joinpath("style.css").read_text(encoding="utf-8")
    colours = sheet[: sheet.index("* {")]
    rules = [line for line in sheet.splitlines() if line.startswith(("svg .", "svg text"))]
    rules += [line for line in sheet.splitlines() if line.startswith("svg path")]
    return "\n".join([colours, "svg { font-family: var(--sans); }", *rules])


if __name__ == "__main__":
    main()
