"""One self-contained HTML page that shows a run: `render_report` and `write_report`.

`run_data` reads the run folder, `scales` and `charts` draw, `overview`, `training`, `data_flow` and
`responses` turn the data into what `template.html` shows, `render` puts it together. To add a
section: a function from RunData to plain values, a line in `render`, a block in the template.
"""

from minireason.report.render import render_report, write_report

__all__ = ["render_report", "write_report"]
