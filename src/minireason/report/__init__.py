"""Self-contained HTML pages that show a run: `write_report` and `write_data_page`.

`run_data` reads the run folder, `scales` and `charts` draw, `overview`, `training`, `data_flow` and
`responses` turn the data into what `template.html` shows, `render` puts it together;
`data_summary` and `data_page` do the same for `data.html`. To add a
section: a function from RunData to plain values, a line in `render`, a block in the template.
"""

from minireason.report.render import render_report, write_data_page, write_report

__all__ = ["render_report", "write_data_page", "write_report"]
