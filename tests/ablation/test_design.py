"""Which variants there are, which of them differ in one thing, and what their recipes say."""

import pytest

from minireason.ablation.design import TOGGLES, Study, Variant, variant_recipe
from minireason.errors import RecipeError
from minireason.recipe import Recipe
from minireason.recipe_file import parse_recipe

P, R, T = TOGGLES


def recipe(**rlvr):
    known = {"questions": {"limit": 10}, "rollout": {"teacher": "embedded"}}
    return parse_recipe(known | {"rlvr": rlvr})


def test_a_full_design_has_every_combination_from_all_to_none():
    found = Study((P, R)).variants("grpo")
    assert found == [Variant("grpo", on) for on in ((P, R), (P,), (R,), ())]
    assert len(Study().variants("grpo")) == 8


def test_one_out_has_all_and_each_left_out_and_none():
    found = [variant.on for variant in Study(design="one-out").variants("grpo")]
    assert found == [(P, R, T), (R, T), (P, T), (P, R), ()]
    assert [v.on for v in Study((R,), design="one-out").variants("grpo")] == [(R,), ()]


def test_other_algorithms_come_last_with_all_toggles_off():
    found = Study((R,), against=("dapo", "ppo")).variants("grpo")
    assert [variant.name for variant in found] == ["grpo+rebalancing", "grpo", "dapo", "ppo"]


def test_pairs_differ_in_the_toggle_alone():
    study = Study()
    pairs = study.pairs(study.variants("grpo"), R)
    assert [(one.on, other.on) for one, other in pairs] == [
        ((P, R, T), (P, T)),
        ((P, R), (P,)),
        ((R, T), (T,)),
        ((R,), ()),
    ]
    one_out = Study(design="one-out")
    assert one_out.pairs(one_out.variants("grpo"), R) == [
        (Variant("grpo", (P, R, T)), Variant("grpo", (P, T)))
    ]


@pytest.mark.parametrize(
    ("on", "toggles", "label"),
    [
        ((P, R, T), (P, R, T), "grpo with all"),
        ((P, T), (P, R, T), "grpo without rebalancing"),
        ((R,), (P, R, T), "grpo with rebalancing"),
        ((), (P, R, T), "grpo"),
        ((R,), (R,), "grpo with rebalancing"),
        ((P,), (P, R), "grpo with prompt optimisation"),
    ],
)
def test_labels_are_short(on, toggles, label):
    assert Variant("grpo", on).label(toggles) == label


def test_a_variant_switches_its_toggles_and_leaves_the_others_as_they_are():
    given = recipe(prompt_optimization=False, seed=7)
    made = variant_recipe(given, Variant("dapo", (T,)), (R, T), seed=2, tokens=0).rlvr
    assert (made.algorithm, made.seed) == ("dapo", 9)
    assert (made.rebalance, made.anneal_fraction) == (False, 0.5)
    assert made.prompt_optimization is False
    assert made.num_steps == given.rlvr.num_steps and made.token_budget == 0


def test_a_toggle_that_is_on_has_the_value_of_the_recipe_or_else_of_the_schema():
    on = Variant("grpo", (T,))
    assert variant_recipe(recipe(anneal_fraction=0.8), on, (T,), 0, 0).rlvr.anneal_fraction == 0.8
    assert variant_recipe(recipe(anneal_fraction=0.0), on, (T,), 0, 0).rlvr.anneal_fraction == 0.5
    off = Variant("grpo")
    assert variant_recipe(recipe(anneal_fraction=0.8), off, (T,), 0, 0).rlvr.anneal_fraction == 0.0


def test_under_a_budget_the_steps_cannot_end_the_run_first():
    given = recipe(prompts_per_step=4, group_size=8, num_steps=3)
    made = variant_recipe(given, Variant("grpo"), (R,), seed=0, tokens=1000).rlvr
    # Each of the 32 responses of a step has at least one token.
    assert (made.token_budget, made.num_steps) == (1000, 32)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (Study(("rebalance",)), f"no toggle 'rebalance'; there are {P}, {R}, {T}"),
        (Study((R, R)), "a toggle is named twice"),
        (Study(()), "no toggle is given; the toggles are"),
        (Study(against=("trpo",)), "no algorithm 'trpo'; there are grpo, dr_grpo, dapo"),
        (Study(against=("grpo",)), "rlvr.algorithm is 'grpo' already"),
        (Study(num_seeds=0), "at least 1 seed"),
        (Study(noise_steps=1), "2 steps"),
    ],
)
def test_what_cannot_be_compared_is_an_error_that_names_what_can(study, message):
    with pytest.raises(RecipeError, match=message):
        study.check(recipe())


def test_a_recipe_without_rlvr_is_an_error():
    given = parse_recipe({"questions": {"limit": 10}, "run": {"stages": ["sft"]}})
    with pytest.raises(RecipeError, match="stages has no 'rlvr'"):
        Study().check(given)


def test_the_toggles_are_keys_of_the_recipe_that_are_on_by_default():
    defaults = {
        name: getattr(Recipe.model_fields["rlvr"].default, toggle.key) != toggle.off
        for name, toggle in TOGGLES.items()
    }
    assert all(defaults.values())
