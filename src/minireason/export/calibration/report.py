"""`calibration.json`: what a calibrated model was made of and for, and how near it came.

It is written last: a folder without it was not calibrated, or not to the end.
"""

from __future__ import annotations

from typing import Any

from minireason.errors import ExportError
from minireason.export.settings import ExportSettings
from minireason.runfolder import read_json

REPORT = "calibration.json"


def grid_of(settings: ExportSettings) -> dict[str, Any]:
    """What the weights' grids depend on."""
    kept = sorted(settings.keep_8bit)
    return {"bits": settings.bits, "block_size": settings.block_size, "keep_8bit": kept}


def calibration_of(settings: ExportSettings) -> dict[str, Any] | None:
    """The report of the model that is exported; None where it was not calibrated.

    Raises ExportError where it was calibrated for another grid, on which it would lose more than
    the model it was made of.
    """
    path = settings.source / REPORT
    if not path.is_file():
        return None
    report: dict[str, Any] = read_json(path)
    if settings.format != "onnx" or report["grid"] != grid_of(settings):
        raise ExportError(
            f"{settings.source} was calibrated for onnx with {_said(report['grid'])}, and this is "
            f"{settings.format} with {_said(grid_of(settings))}; export it as it was calibrated, "
            f"or export {report['original']['model']}"
        )
    return report


def _said(grid: dict[str, Any]) -> str:
    kept = f" and {', '.join(grid['keep_8bit'])} at 8" if grid["keep_8bit"] else ""
    return f"{grid['bits']} bits{kept} in blocks of {grid['block_size']}"
