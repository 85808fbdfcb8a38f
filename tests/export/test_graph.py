"""What is read off an ONNX graph, and which graphs are refused."""

import shutil

import onnx
import pytest

from minireason.errors import ExportError
from minireason.export.graph import check_graph, join_head_and_embedding
from minireason.export.onnx import export_onnx
from minireason.export.settings import PROJECTIONS, ExportSettings


@pytest.fixture(scope="session")
def made(tiny, tmp_path_factory):
    """Export the tiny model; return the graph's file."""

    def make(**changes):
        out = tmp_path_factory.mktemp("graph")
        export_onnx(ExportSettings(tiny, "onnx", **changes), out)
        return out / "model.onnx"

    return make


@pytest.fixture
def graph(made, tmp_path):
    """A graph of 4 bits with `down_proj` at 8 that a test may break."""
    folder = shutil.copytree(made(keep_8bit=("down_proj",)).parent, tmp_path / "made")
    return folder / "model.onnx"


def rewrite(path, change):
    model = onnx.load(path, load_external_data=False)
    change(model.graph)
    onnx.save(model, path)


def named(graph, part):
    return next(node for node in graph.node if part in node.name)


def test_the_bits_are_those_of_the_nodes(made, graph):
    assert check_graph(graph, {}) == {
        **dict.fromkeys(("qkv_proj", "o_proj", "gate_up_proj", "lm_head", "embed_tokens"), 4),
        "down_proj": 8,
    }
    for bits in (8, 32):
        found = check_graph(made(bits=bits), {})
        assert found == dict.fromkeys((*PROJECTIONS, "embed_tokens"), bits)
    assert check_graph(made(target="npu"), {})["embed_tokens"] == 32


def test_layers_of_different_bits_are_refused(graph):
    def change(content):
        node = named(content, "layers.1/mlp/down_proj")
        next(each for each in node.attribute if each.name == "bits").i = 4

    rewrite(graph, change)
    with pytest.raises(ExportError, match="down_proj have 8 bits in one layer and 4 in another"):
        check_graph(graph, {})


def test_other_bits_than_asked_are_refused(graph):
    asked = dict.fromkeys(PROJECTIONS, 4)
    with pytest.raises(ExportError, match="down_proj have 8 bits and were to have 4"):
        check_graph(graph, asked)
    check_graph(graph, asked | {"down_proj": 8})


def test_a_graph_with_a_hole_is_refused(graph):
    rewrite(graph, lambda content: content.node.remove(named(content, "layers.1/mlp/up_proj")))
    with pytest.raises(ExportError, match=r"not whole: .*layers\.1/mlp/up_proj"):
        check_graph(graph, {})
    assert not graph.with_name("checked.onnx").exists()


def test_an_embedding_reads_the_head_by_the_names_it_has(made):
    path = made(bits=8)
    names = {"lm_head.MatMul.weight_Q8": "lm_head.MatMul.weight_Q8G32"}
    names["lm_head.MatMul.weight_scales"] = "lm_head.MatMul.weight_scale"

    def mistake(content):
        for node in content.node:
            if "embed_tokens" in node.name:
                node.input[:] = [names.get(name, name) for name in node.input]

    before = path.read_bytes()
    rewrite(path, mistake)
    with pytest.raises(ExportError, match="not whole"):
        check_graph(path, {})
    join_head_and_embedding(path, 32)
    assert onnx.load(path, load_external_data=False) == onnx.load_from_string(before)
