"""The README shows the tree on disk: every source file with its docstring's first sentence."""

import ast
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "minireason"


def first_sentence(path):
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    sentence = re.split(r"(?<!et al)\.(?:\s|$)", text)[0]
    return textwrap.shorten(sentence, 84, placeholder=" ...")


def tree():
    """One line a file, folders before their files, the top of the package first."""
    lines = ["src/minireason/"]
    folders = [SRC, *sorted(p.parent for p in SRC.rglob("*/__init__.py"))]
    for folder in folders:
        depth = len(folder.relative_to(SRC).parts)
        if depth:
            lines.append(f"{'  ' * depth}{folder.name}/".ljust(26) + folder_line(folder))
        for file in sorted(folder.glob("*.py")):
            if file.name not in ("__init__.py", "__main__.py"):
                name = f"{'  ' * (depth + 1)}{file.name}".ljust(26)
                lines.append(f"{name} {first_sentence(file)}")
    return "\n".join(line.rstrip() for line in lines)


def folder_line(folder):
    sentence = first_sentence(folder / "__init__.py")
    return f" {sentence}" if sentence else ""


def test_the_readme_shows_the_tree_on_disk():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tree() in readme, f"put this into README.md:\n{tree()}"
