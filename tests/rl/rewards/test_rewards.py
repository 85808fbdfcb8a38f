"""The rewards by name."""

from pathlib import Path

import pytest

from minireason.errors import RecipeError
from minireason.rl.rewards import REWARDS, find_reward

FOLDER = Path(__file__).parents[3] / "src" / "minireason" / "rl" / "rewards"
DOCS = Path(__file__).parents[3] / "docs" / "rewards.md"


def test_every_reward_is_a_file_of_its_name_and_a_line_of_the_page():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "custom", "response"}
    assert files == set(REWARDS)
    assert all(f"| `{name}` |" in DOCS.read_text(encoding="utf-8") for name in REWARDS)


@pytest.mark.parametrize(
    ("name", "nearest"), [("corect", "correct"), ("lenght", "length"), ("zzz", "")]
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(name, nearest):
    with pytest.raises(RecipeError, match=f"no reward '{name}'; the nearest is '{nearest}"):
        find_reward(name)


def test_the_example_of_the_page_runs_and_gives_what_the_page_says(judged, tmp_path):
    page = DOCS.read_text(encoding="utf-8")
    (tmp_path / "my_rewards.py").write_text(page.split("```python\n")[1].split("```")[0])
    no_guess = find_reward(f"{tmp_path}/my_rewards.py:no_guessing")
    assert no_guess(judged(r"I guess \boxed{4}")) == -1.0
    assert no_guess(judged(r"2 and 2 is \boxed{4}")) == 0.0
    brief = find_reward(f"{tmp_path}/my_rewards.py:brief")
    assert brief(judged(num_tokens=25, max_tokens=100)) == 0.75
    assert brief(judged(verdict="incorrect")) == 0.0
