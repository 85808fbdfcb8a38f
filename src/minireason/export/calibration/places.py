"""Which weights of a model an export rounds, and to which grid."""

from __future__ import annotations

from typing import Any

import torch

from minireason.export.calibration.grid import Grid
from minireason.export.settings import ExportSettings, projection_of

Places = dict[torch.nn.Module, Grid]


def rounded_places(model: Any, settings: ExportSettings) -> Places:
    """The modules whose `weight` is rounded, in the model's own order, the head's last.

    Those are all linear layers; a tied embedding has the head's weights.
    """
    head = model.get_output_embeddings()
    places = {
        module: Grid(_bits(name, settings), settings.block_size)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return places | {head: Grid(_bits("lm_head", settings), settings.block_size)}


def _bits(name: str, settings: ExportSettings) -> int:
    is_kept = projection_of(name.rpartition(".")[2]) in settings.keep_8bit
    return 8 if is_kept else settings.bits


@torch.no_grad()
def round_weights(places: Places) -> None:
    """Put the weights on their grids, in place, as the export will; on the grid they stay."""
    for module, grid in places.items():
        module.weight.copy_(grid.rounded(module.weight))  # type: ignore[operator,arg-type]
