"""Functions by name, from modules and from files."""

import math
import sys

import pytest

from minireason.functions import load_function


def test_a_module_s_and_a_file_s_function_are_loaded(tmp_path):
    assert load_function("math:sqrt") is math.sqrt
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Two:\n    value: int = 2\n"
    )
    assert load_function(f"{path}:Two")().value == 2


def test_a_file_that_fails_leaves_no_module(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_function(f"{path}:f")
    assert "minireason_own_broken" not in sys.modules


@pytest.mark.parametrize(
    ("name", "error"),
    [("none.py:f", FileNotFoundError), ("math:none", AttributeError), ("none_such:f", ImportError)],
)
def test_what_is_not_there_is_python_s_own_error(name, error):
    with pytest.raises(error):
        load_function(name)
