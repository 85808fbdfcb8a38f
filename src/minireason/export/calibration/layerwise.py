"""GPTQ through a model: layer by layer, each on what the layers rounded before it put out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from minireason.export.calibration.gptq import gptq
from minireason.export.calibration.places import Places
from minireason.progress import Advance
from minireason.train.forward import target_states
from minireason.train.packing import MicroBatch
from minireason.train.parallel import decoder_layers


class _FirstLayerError(Exception):
    """The first layer was reached."""


@dataclass
class LayerCall:
    """What a decoder layer is called with: the hidden states of a batch, and all else."""

    states: torch.Tensor
    rest: tuple[Any, ...]
    named: dict[str, Any]

    def through(self, layer: torch.nn.Module) -> torch.Tensor:
        """The hidden states behind the layer."""
        out = layer(self.states, *self.rest, **self.named)
        states: torch.Tensor = out[0] if isinstance(out, tuple) else out
        return states


@torch.no_grad()
def quantize_layers(
    model: Any,
    batches: Sequence[MicroBatch],
    places: Places,
    advance: Advance = lambda done, total, text: None,
) -> None:
    """Put the weights in `places` on their grids, in place, by their inputs in these batches.

    The head goes first, on the states of the unrounded model: an embedding tied to it is what all
    layers start from. Then the linear layers of each decoder layer, one after the other.
    """
    head, layers = model.get_output_embeddings(), list(decoder_layers(model))
    moment = Moment()
    for batch in batches:
        moment.add(target_states(model, batch))
    _quantize(head, moment, places)
    calls = [_first_call(model, layers[0], batch) for batch in batches]
    for number, layer in enumerate(layers, start=1):
        for module in _in_order(layer, calls[0], places):
            _quantize(module, _seen_by(module, layer, calls), places)
        for call in calls:
            call.states = call.through(layer)
        advance(number, len(layers), "layers")


class Moment:
    """The sum of the outer products of inputs, in float64."""

    def __init__(self) -> None:
        self.sum_II: torch.Tensor | None = None

    def add(self, inputs_NI: torch.Tensor) -> None:
        inputs_NI = inputs_NI.double()
        more_II = inputs_NI.T @ inputs_NI
        self.sum_II = more_II if self.sum_II is None else self.sum_II.add_(more_II)


def _quantize(module: torch.nn.Module, moment: Moment, places: Places) -> None:
    assert moment.sum_II is not None
    weight_OI: Any = module.weight
    weight_OI.copy_(gptq(weight_OI.detach(), moment.sum_II, places[module]))


def _first_call(model: Any, first: torch.nn.Module, batch: MicroBatch) -> LayerCall:
    """What the first decoder layer is called with for a batch."""
    found: list[LayerCall] = []

    def catch(layer: torch.nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.append(LayerCall(args[0], args[1:], named))
        raise _FirstLayerError

    handle = first.register_forward_pre_hook(catch, with_kwargs=True)
    try:
        target_states(model, batch)
    except _FirstLayerError:
        pass
    finally:
        handle.remove()
    return found[0]


def _in_order(layer: torch.nn.Module, call: LayerCall, places: Places) -> list[torch.nn.Module]:
    """The layer's modules in `places`, in the order it calls them."""
    called: list[torch.nn.Module] = []
    handles = [
        module.register_forward_pre_hook(lambda module, args: called.append(module))
        for module in layer.modules()
        if module in places
    ]
    call.through(layer)
    for handle in handles:
        handle.remove()
    return called


def _seen_by(module: torch.nn.Module, layer: torch.nn.Module, calls: Sequence[LayerCall]) -> Moment:
    """The moment of a module's inputs over all batches."""
    moment = Moment()
    handle = module.register_forward_pre_hook(
        lambda module, args: moment.add(args[0].flatten(0, -2))
    )
    for call in calls:
        call.through(layer)
    handle.remove()
    return moment
