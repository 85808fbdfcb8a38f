"""The ONNX graph of an export: what it says of its weights, and whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from onnx import GraphProto, NodeProto, TensorProto
from onnx.checker import ValidationError

from minireason.errors import ExportError
from minireason.export.settings import projection_of

WEIGHT_BITS = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.FLOAT: 32,
}
EMBEDDING = "embed_tokens"

# ONNX Runtime keeps operators of its own in the standard domain, where ONNX does not know them.
OF_ONNX_RUNTIME = frozenset({"SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"})
CONTRIBUTED = "com.microsoft"


def _weight_bits(graph: GraphProto) -> dict[str, int]:
    """The bits of the weights of each projection, and of the embedding.

    Raises ExportError where the layers differ.
    """
    found: dict[str, int] = {}
    for projection, bits in _weights(graph):
        if found.setdefault(projection, bits) != bits:
            raise ExportError(
                f"the weights of {projection} have {found[projection]} bits in one layer and "
                f"{bits} in another: the ONNX builder did not do as it was told"
            )
    found.setdefault(EMBEDDING, found["lm_head"])  # it reads the head's own, transposed
    return found


def _weights(graph: GraphProto) -> Iterator[tuple[str, int]]:
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        place = 0 if node.op_type in ("Gather", "DequantizeLinear") else 1
        weight = node.input[place] if len(node.input) > place else ""
        if node.op_type in ("MatMulNBits", "GatherBlockQuantized"):
            bits = next(each.i for each in node.attribute if each.name == "bits")
        elif node.op_type in ("MatMul", "Gather", "DequantizeLinear") and weight in types:
            bits = WEIGHT_BITS[types[weight]]
        else:
            continue
        yield _projection(node), bits


def _projection(node: NodeProto) -> str:
    """`down_proj` of `/model/layers.0/mlp/down_proj/MatMul_Q4`."""
    return projection_of(node.name.split("/")[-2])


def join_head_and_embedding(path: Path, block_size: int) -> None:
    """Let the embedding read the 8-bit head by the names it has.

    The builder (onnxruntime-genai 0.18) looks for those that another way of rounding would give.
    """
    model = onnx.load(path, load_external_data=False)
    held = {tensor.name for tensor in model.graph.initializer}
    head = "lm_head.MatMul.weight"
    names = {f"{head}_Q8G{block_size}": f"{head}_Q8", f"{head}_scale": f"{head}_scales"}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name not in held and names.get(name) in held:
                node.input[place] = names[name]
    onnx.save(model, path)


def check_graph(path: Path, bits: Mapping[str, int]) -> dict[str, int]:
    """The bits of each projection, of a graph that is as it should be.

    Raises ExportError where it is not whole, or its weights have not the bits asked.
    """
    model = onnx.load(path, load_external_data=False)
    found = _weight_bits(model.graph)
    wrong = [name for name in bits if found.get(name) != bits[name]]
    if wrong:
        raise ExportError(
            f"the weights of {wrong[0]} have {found.get(wrong[0], 'no')} bits and were to have "
            f"{bits[wrong[0]]}: the ONNX builder did not do as it was told"
        )
    for node in model.graph.node:
        if node.op_type in OF_ONNX_RUNTIME:
            node.domain = CONTRIBUTED
    # The checker looks for the weights beside the graph, so that it cannot lie elsewhere.
    beside = path.with_name("checked.onnx")
    onnx.save(model, beside)
    try:
        onnx.checker.check_model(beside)
    except ValidationError as error:
        said = re.sub(r"\s+", " ", str(error))[:300]
        raise ExportError(f"the ONNX builder made a graph that is not whole: {said}") from error
    finally:
        beside.unlink()
    return found
