"""The house is built in layers: a part imports parts below it, never beside or above it."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "minireason"
FILES = sorted(SRC.rglob("*.py"))

# From the bottom up. The parts of one line do not import each other.
LAYERS = [
    ["errors", "seeding", "account", "conventions", "atomic", "marks", "functions", "markdown"],
    ["records", "recipe", "runfolder", "progress", "world"],
    ["recipe_file", "tables", "journal", "shards", "interrupt"],
    ["messages", "step", "endpoint"],
    ["problems", "verify", "model"],
    ["rollout", "curate", "train"],
    ["edge"],
    ["inference"],
    ["evaluate", "rl", "retrieval"],
    ["report", "serve", "terminal", "export", "scaling"],
    ["workbench", "publish"],
    ["stages"],
    ["pipeline"],
    ["runner", "launch", "options"],
    ["ablation", "commands"],
    ["cli"],
]
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}


def part_of(module):
    """`minireason.train.loop` and `minireason.train` are of the part `train`."""
    return module.split(".")[1] if "." in module else ""


def imported(tree):
    """(line, module) of every import of our own, at the top of a file or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield node.lineno, node.module
            if node.module == "minireason":
                yield from ((node.lineno, f"minireason.{alias.name}") for alias in node.names)


def our_imports(path):
    for line, module in imported(ast.parse(path.read_text(encoding="utf-8"))):
        if module.split(".")[0] == "minireason" and part_of(module):
            yield f"{path.relative_to(SRC.parent)}:{line} imports {module}", part_of(module)


def part_of_file(path):
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def test_every_part_has_its_layer():
    parts = {part_of_file(path) for path in FILES} - {"__init__", "__main__"}
    assert parts <= HEIGHT.keys(), f"give {sorted(parts - HEIGHT.keys())} a place in LAYERS"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_imports_only_go_down(path):
    own = part_of_file(path)
    height = HEIGHT.get(own, len(LAYERS))
    wrong = [
        where
        for where, part in our_imports(path)
        if part != own and HEIGHT.get(part, len(LAYERS)) >= height
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sorted((SRC / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_stages_do_not_import_each_other(path):
    assert [where for where, part in our_imports(path) if part == "stages"] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_file_is_longer_than_a_reader_likes(path):
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= 350


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_function_is_longer_than_60_lines(path):
    long = [
        f"{path.name}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > 60
    ]
    assert not long, "\n".join(long)


def test_a_lazy_import_counts_too():
    tree = ast.parse("def f():\n    from minireason.cli import main\n")
    assert list(imported(tree)) == [(2, "minireason.cli")]
