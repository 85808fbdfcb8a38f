"""What GPTQ sees of a model, found another way."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.export.calibration.gptq import gptq
from minireason.export.calibration.layerwise import quantize_layers
from minireason.export.calibration.places import rounded_places
from minireason.export.settings import ExportSettings
from minireason.model.attention import ATTENTION
from minireason.model.tiny import build_model
from minireason.train.forward import target_states
from minireason.train.packing import MicroBatch, TokenSequence, collate

SETTINGS = ExportSettings(Path(), "onnx", keep_8bit=("down_proj",))


def batches() -> list[MicroBatch]:
    generator = torch.Generator().manual_seed(0)
    sequences = [
        TokenSequence(torch.randint(0, 800, (40,), generator=generator).tolist(), 30)
        for _ in range(8)
    ]
    return [collate([[[s] for s in sequences[i : i + 4]]]) for i in (0, 4)]


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any]:
    """A model of two layers, and the same with its weights on their grids."""
    model = build_model(800, seed=0, num_layers=2)
    model.set_attn_implementation(ATTENTION)
    model.config.use_cache = False
    rounded = copy.deepcopy(model.eval())
    quantize_layers(rounded, batches(), rounded_places(rounded, SETTINGS))
    return model, rounded


def inputs_of(module: torch.nn.Module, model: Any) -> torch.Tensor:
    """All inputs of a module in whole forward passes of the model."""
    seen: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda module, args: seen.append(args[0][0]))
    with torch.no_grad():
        for batch in batches():
            target_states(model, batch)
    handle.remove()
    return torch.cat(seen).double()


def test_every_layer_is_rounded_by_what_the_rounded_layers_before_it_give(
    models: tuple[Any, Any],
) -> None:
    model, rounded = models
    grids = rounded_places(rounded, SETTINGS)
    originals = dict(model.named_modules())
    checked = 0
    for name, module in rounded.named_modules():
        if module in grids and "layers" in name:
            inputs_NI = inputs_of(module, rounded)
            weight_OI = originals[name].weight.detach()
            expected_OI = gptq(weight_OI, inputs_NI.T @ inputs_NI, grids[module])
            # sums in another order may put a weight that lies between two numbers on the other
            assert (expected_OI == module.weight).float().mean() > 0.999, name
            checked += 1
    assert checked == 8


def test_the_embedding_stays_tied_to_the_head_on_the_grid(models: tuple[Any, Any]) -> None:
    _, rounded = models
    head = rounded.get_output_embeddings()
    assert rounded.get_input_embeddings().weight is head.weight
    grid = rounded_places(rounded, SETTINGS)[head]
    assert torch.equal(grid.rounded(head.weight), head.weight)


def test_bits_are_by_projection_and_the_head_comes_last(models: tuple[Any, Any]) -> None:
    model, _ = models
    settings = ExportSettings(Path(), "onnx", block_size=64, keep_8bit=("down_proj", "lm_head"))
    grids = rounded_places(model, settings)
    names = {module: name for name, module in model.named_modules()}
    bits = {names[module]: grid.bits for module, grid in grids.items()}
    assert list(bits)[-1] == "lm_head"
    assert {name for name, count in bits.items() if count == 8} == {
        "model.layers.0.mlp.down_proj",
        "model.layers.1.mlp.down_proj",
        "lm_head",
    }
    assert {grid.block_size for grid in grids.values()} == {64}
    assert len(bits) == 9
