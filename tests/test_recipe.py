import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.errors import MissingError, RecipeError
from minireason.recipe import Recipe, reinforcement
from minireason.recipe_file import documented, keys, load_recipe, parse_recipe, reference
from minireason.runner import to_toml

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "recipes").glob("*.toml"))
OPENAI = {"base_url": "http://localhost:8000/v1", "model": "teacher"}


def recipe(**sections):
    defaults = {"rollout": OPENAI, "questions": {"sources": ["q.jsonl"]}}
    return parse_recipe(defaults | sections)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path):
    assert load_recipe(path).run.stages


def test_the_recipes_that_the_documents_name_are_shipped():
    names = {path.stem for path in SHIPPED}
    assert names >= {"tiny", "tiny-base", "smoke", "gsm8k", "phi-4-mini-reasoning"}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"sft": {"batchsize": 4}}, "unknown key 'sft.batchsize'; the nearest is 'sft.batch_size'"),
        ({"rlvr": {"group": 4}}, "the nearest is 'rlvr.group_size'"),
        ({"midtrane": {}}, "unknown key 'midtrane'; the nearest is 'midtrain'"),
        ({"train": 3}, "unknown key 'train'; the nearest is"),
    ],
)
def test_an_unknown_key_is_an_error_naming_the_nearest(sections, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        recipe(**sections)


@pytest.mark.parametrize(
    ("sections", "where", "given"),
    [
        ({"sft": {"batch_size": 0}}, "sft.batch_size", "0"),
        ({"rlvr": {"group_size": 1}}, "rlvr.group_size", "1"),
        ({"rollout": {**OPENAI, "temperature": 5.5}}, "rollout.temperature", "5.5"),
        ({"rollout": {**OPENAI, "top_p": 0}}, "rollout.top_p", "0"),
        ({"dpo": {"learning_rate": float("inf")}}, "dpo.learning_rate", "inf"),
        ({"midtrain": {"epochs": float("nan")}}, "midtrain.epochs", "nan"),
        ({"run": {"seed": -1}}, "run.seed", "-1"),
        ({"run": {"stages": ["sftt"]}}, "run.stages.0", "'sftt'"),
        ({"verify": {"memory_mb": 10}}, "verify.memory_mb", "10"),
        ({"curate": {"max_repetition": 1.01}}, "curate.max_repetition", "1.01"),
        ({"run": {"threads": "many"}}, "run.threads", "'many'"),
        ({"run": 3}, "run", "3"),
    ],
)
def test_a_value_out_of_range_is_an_error_with_key_and_value(sections, where, given):
    with pytest.raises(RecipeError, match=f"{re.escape(where)} is {re.escape(given)}; .*"):
        recipe(**sections)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"run": {"stages": ["sft", "midtrain"]}}, "in the order"),
        ({"run": {"stages": ["sft", "sft"]}}, "at most once"),
        ({"questions": {"sources": ["procedural"]}}, "questions.limit is 0"),
        ({"rollout": {"model": "m"}}, "rollout.base_url is empty"),
        ({"rollout": {"base_url": "http://localhost"}}, "rollout.model is empty"),
        ({"rlvr": {"min_pass_rate": 0.5, "max_pass_rate": 0.4}}, "no prompt could pass"),
        ({"rlvr": {"algorithm": "rloo", "staleness": 1}}, "set rlvr.staleness = 0"),
    ],
)
def test_values_that_do_not_go_together_are_an_error(sections, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**sections)


def test_a_recipe_that_is_not_toml_is_an_error_with_the_line(written):
    with pytest.raises(RecipeError, match=r"recipe.toml is not valid TOML: .*line 2"):
        load_recipe(written("[run]\nname = \n"))


def test_a_recipe_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(tmp_path / "recipe.toml")


def test_a_missing_recipe_is_an_error_that_says_where_the_shipped_ones_are(tmp_path):
    with pytest.raises(MissingError, match="recipes/"):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("sft.batch_size=3", "sft", "batch_size", 3),
        ("sft.learning_rate = 1e-4", "sft", "learning_rate", 1e-4),
        ("sft.packing=best-fit", "sft", "packing", "best-fit"),
        ("run.name=two words", "run", "name", "two words"),
        ('run.name="a=b"', "run", "name", "a=b"),
        ("model.base=/a/folder", "model", "base", "/a/folder"),
        ('run.stages=["sft", "dpo"]', "run", "stages", ["sft", "dpo"]),
        ("questions.levels=[]", "questions", "levels", []),
    ],
)
def test_set_overrides_a_key_with_a_toml_value_or_plain_text(override, section, key, value):
    path = ROOT / "recipes" / "smoke.toml"
    found = load_recipe(path, [override])
    assert getattr(getattr(found, section), key) == value
    assert getattr(getattr(load_recipe(path), section), key) != value


def test_of_two_overrides_of_one_key_the_last_holds():
    found = load_recipe(ROOT / "recipes/smoke.toml", ["run.seed=1", "run.seed=2"])
    assert found.run.seed == 2


@pytest.mark.parametrize("override", ["sft", "sft=1", "sft.batch_size", "a.b.c=1", "=1", ""])
def test_an_override_of_another_form_is_an_error_that_shows_it(override):
    with pytest.raises(RecipeError, match=re.escape(f"--set {override!r} is not of the form")):
        load_recipe(ROOT / "recipes/smoke.toml", [override])


def test_an_override_of_an_unknown_key_names_the_nearest():
    with pytest.raises(RecipeError, match=r"the nearest is 'sft.packing'"):
        load_recipe(ROOT / "recipes/smoke.toml", ["sft.pakcing=none"])


@pytest.mark.parametrize(
    ("sections", "match"),
    [
        ({"sft": {"packing": "split"}}, "sft.packing is 'split' and sft.loss_on is 'response'"),
        ({"dpo": {"packing": "split"}}, "dpo.packing is 'split'; a pair stays whole"),
        ({"midtrain": {"packing": True}}, "midtrain.packing is True; input should be 'best-fit', "),
    ],
)
def test_packing_that_a_stage_cannot_do_is_an_error(sections, match):
    with pytest.raises(RecipeError, match=match):
        recipe(**sections)


def test_all_tokens_may_be_split():
    found = recipe(sft={"packing": "split", "loss_on": "all"}, midtrain={"packing": "split"})
    assert (found.sft.packing, found.midtrain.packing) == ("split", "split")


PAPER = {
    "rollout.num_rollouts": 8,
    "rollout.temperature": 0.6,
    "rollout.top_p": 0.95,
    "midtrain.seq_length": 16 * 1024,
    "midtrain.batch_size": 128,
    "midtrain.learning_rate": 1e-5,
    "midtrain.epochs": 5,
    "midtrain.packing": "best-fit",
    "optimizer.warmup_ratio": 0.1,
    "sft.seq_length": 20 * 1024,
    "sft.batch_size": 128,
    "sft.learning_rate": 1e-5,
    "sft.epochs": 5,
    "sft.packing": "none",
    "dpo.seq_length": 16 * 1024,
    "dpo.learning_rate": 5e-7,
    "dpo.epochs": 1,
    "dpo.rollouts_from": "teacher",
    "rlvr.max_tokens": 25 * 1024,
    "rlvr.learning_rate": 5e-7,
    "rlvr.prompt_optimization": True,
    "rlvr.rebalance": True,
    "rlvr.easy_pass_rate": 0.5,
    "rlvr.temperature_start": 1.0,
    "rlvr.temperature_end": 0.6,
    "rlvr.anneal_fraction": 0.5,
    "evaluate.temperature": 0.6,
    "evaluate.top_p": 0.95,
    "evaluate.max_tokens": 32 * 1024,
    "run.stages": ["midtrain", "sft", "dpo", "rlvr"],
}


@pytest.mark.parametrize("key", PAPER)
def test_the_default_is_the_papers_value(key):
    section, name = key.split(".")
    assert getattr(getattr(Recipe.model_construct(), section), name) == PAPER[key]


@pytest.mark.parametrize("key", PAPER)
def test_the_papers_recipe_keeps_the_papers_value(key):
    section, name = key.split(".")
    papers = load_recipe(ROOT / "recipes/phi-4-mini-reasoning.toml")
    assert getattr(getattr(papers, section), name) == PAPER[key]


def test_there_are_fewer_than_150_keys_to_learn():
    assert len(keys()) == len(set(keys()))
    assert len(documented()) < 150


def test_every_key_is_documented_in_a_sentence():
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) == len(documented())
    assert all(len(row.split("|")[-2].split()) >= 2 for row in rows)


def test_the_reference_page_is_what_the_schema_says():
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m minireason.recipe_file > docs/recipe.md"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_resolved_recipe_is_toml_that_loads_again(path, written):
    found = load_recipe(path)
    assert load_recipe(written(to_toml(found.model_dump()))) == found


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_resolved_recipe(text):
    assert tomllib.loads(to_toml({"run": {"name": text}})) == {"run": {"name": text}}


LIGHT = ["recipe", "cli", "runner", "pipeline"]


def test_recipe_and_command_line_import_no_heavy_package():
    heavy = ["torch", "transformers", "sympy", "datasets"]
    code = f"import sys, {', '.join(f'minireason.{m}' for m in LIGHT)}; " + (
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_conventions_of_the_verifier_are_an_inline_table():
    read = recipe(verify={"conventions": {"rounded_digits": 0, "units_optional": False}})
    text = to_toml(read.model_dump())
    assert "conventions = {rounded_digits = 0, units_optional = false}" in text
    assert parse_recipe(tomllib.loads(text)) == read


def test_an_unknown_convention_names_the_nearest():
    with pytest.raises(RecipeError, match="no convention 'rounding'; the nearest is 'rounded_d"):
        recipe(verify={"conventions": {"rounding": 0}})


def test_adapters_are_off_unless_a_rank_is_given():
    assert Recipe.model_construct().lora.rank == 0


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"lora": {"base_bits": 4}}, "base_bits is 4 and lora.rank is 0"),
        ({"lora": {"base_bits": 4, "rank": 8}, "run": {"device": "cpu"}}, "it needs CUDA"),
        ({"lora": {"base_bits": 4, "rank": 8}, "parallel": {"cpu_offload": True}}, "not moved"),
        ({"lora": {"rank": 8}, "optimizer": {"name": "muon"}}, "'muon' and lora.rank is 8; "),
        ({"lora": {"rank": 8, "targets": []}}, "lora.targets is"),
        ({"lora": {"rank": 8, "base_bits": 8}}, "lora.base_bits is 8"),
        ({"lora": {"rank": -1}}, "lora.rank is -1"),
    ],
)
def test_adapters_that_cannot_be_are_an_error(sections, message):
    with pytest.raises(RecipeError, match=message):
        recipe(**sections)


def test_the_recipe_knows_the_rewards_there_are():
    from minireason.rl.rewards import REWARDS

    assert set(REWARDS) == set(reinforcement.REWARDS)


@pytest.mark.parametrize(
    ("rewards", "told"),
    [
        ({"corect": 1.0}, "nearest reward is 'correct'"),
        ({"correct": 0.0}, "worth the same"),
        ({"correct": float("nan")}, "finite number"),
    ],
)
def test_rewards_that_cannot_be_are_refused_before_anything_runs(rewards, told):
    with pytest.raises(ValueError, match=told):
        reinforcement.Rlvr(rewards=rewards)


@pytest.mark.parametrize("sampler", [{"engine": "vllm"}, {"engine": "server", "base_url": "http:"}])
@pytest.mark.parametrize(
    ("rlvr", "told"),
    [
        ({"top_p": 0.9}, "rlvr.top_p is 0.9"),
        ({"staleness": 2}, "rlvr.staleness is 2"),
        ({"temperature_start": 2.5}, "temperature is 2.5"),
        ({"temperature_end": 2.5}, "temperature is 2.5"),
        ({"algorithm": "rloo"}, "rlvr.algorithm is 'rloo'"),
    ],
)
def test_what_rlvr_cannot_have_from_vllm_is_refused(rlvr, told, sampler):
    with pytest.raises(RecipeError, match=f"{sampler['engine']!r} and .*{told}.*'embedded'"):
        recipe(sampler=sampler, rlvr=rlvr)
    recipe(rlvr=rlvr)
    recipe(sampler=sampler, rlvr={"staleness": 1, "temperature_start": 2.0})
