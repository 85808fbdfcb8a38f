"""A run folder becomes one HTML page: no network, no external files, readable without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from minireason.atomic import whole_file
from minireason.evaluate.ladder import change_text, interval_text, percent, points
from minireason.report import data_flow, data_page, overview, responses, rollouts_page, training
from minireason.report.data_summary import data_summary
from minireason.report.policy_samples import sampled_steps
from minireason.report.run_data import RunData, load_run


def render_report(run_dir: Path, num_examples: int = 8) -> str:
    """The report of a run folder as one self-contained HTML string.

    `num_examples` questions are shown with every rung's response.
    Parts that are not there yet are said to be missing; an unreadable file raises DataError.
    """
    return render(load_run(run_dir), num_examples)


def write_report(run_dir: Path, out: Path, num_examples: int = 8) -> Path:
    """Write the report of a run folder to `out`, atomically; return `out`."""
    return _write(out, render_report(run_dir, num_examples))


def write_data_page(run_dir: Path, out: Path) -> Path | None:
    """Write the data page to `out`, atomically; return `out`, or None without curated data."""
    data = data_summary(run_dir)
    if data is None:
        return None
    values = data_page.page_values(load_run(run_dir), data, run_dir)
    return write_page(out, "data.html", values)


def write_rollouts_page(run_dir: Path, out: Path) -> Path | None:
    """Write the rollout browser to `out`, atomically; return `out`, or None without samples."""
    steps = sampled_steps(run_dir)
    if not steps:
        return None
    template = _environment().get_template("rollouts.html")
    values = rollouts_page.page_values(load_run(run_dir), steps)
    style = _asset("style.css") + _asset("rollouts.css")
    script = _asset("rollouts.js") + _asset("rollouts_view.js")
    return _write(out, template.render(**values, style=style, script=script))


def write_page(out: Path, template: str, values: Mapping[str, Any]) -> Path:
    """Write another page of this look, atomically; return `out`.

    The template extends `base.html`, which names the `run`.
    """
    found = _environment().get_template(template)
    return _write(out, found.render(**values, style=_asset("style.css")))


def _write(out: Path, page: str) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as partial:
        partial.write_text(page, encoding="utf-8")
    return out


def render(run: RunData, num_examples: int) -> str:
    """The page for run data already read."""
    last = list(run.rungs.values())[-1].summary if run.rungs else None
    return (
        _environment()
        .get_template("template.html")
        .render(
            run=run,
            last=last,
            benchmarks=overview.benchmark_names(run),
            headlines=overview.headlines(run),
            rows=overview.rows_of(run),
            missing_rungs=overview.missing_rungs(run),
            ladder_charts=overview.ladder_charts(run),
            breakdowns=overview.breakdowns(run),
            length_charts=overview.length_charts(run),
            stages=training.stage_views(run),
            flow=data_flow.flow_lines(run),
            has_data_page=any(step.name == "curate" for step in run.steps),
            questions=responses.chosen_questions(run, num_examples),
            style=_asset("style.css"),
            script=_asset("report.js"),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("minireason", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (percent, points, interval_text, change_text)
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters |= {"rung": overview.rung_label, "shorten": responses.shorten}
    environment.filters |= {"ending": data_page.ending, "brief": rollouts_page.brief}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _asset(name: str) -> Markup:
    # Our own files: the only text that enters the page unescaped.
    return Markup(files("minireason.report").joinpath(name).read_text(encoding="utf-8"))
