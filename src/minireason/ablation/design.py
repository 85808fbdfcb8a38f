"""Which variants of a recipe's RLVR are compared.

This module imports no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from minireason.errors import RecipeError
from minireason.recipe import Recipe
from minireason.recipe.reinforcement import Rlvr
from minireason.recipe_file import parse_recipe

Design = Literal["full", "one-out"]


@dataclass(frozen=True, slots=True)
class Toggle:
    """A key of `[rlvr]`, and the value at which what it stands for is switched off."""

    key: str
    off: Any


TOGGLES = {
    "prompt_optimisation": Toggle("prompt_optimization", False),
    "rebalancing": Toggle("rebalance", False),
    "temperature_annealing": Toggle("anneal_fraction", 0.0),
}
"""The paper's three fixes of stage 4."""


@dataclass(frozen=True, slots=True)
class Variant:
    """An algorithm, and those of the toggles that are on."""

    algorithm: str
    on: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "+".join((self.algorithm, *self.on))

    def label(self, toggles: Sequence[str]) -> str:
        """What people call it, of variants with these toggles."""
        if not self.on:
            return self.algorithm
        off = [name for name in toggles if name not in self.on]
        if len(toggles) > 1 and not off:
            return f"{self.algorithm} with all"
        if len(toggles) > 2 and len(off) == 1:
            return f"{self.algorithm} without {spaced(off[0])}"
        return f"{self.algorithm} with {' and '.join(map(spaced, self.on))}"

    def without(self, toggle: str) -> Variant:
        return Variant(self.algorithm, tuple(name for name in self.on if name != toggle))


@dataclass(frozen=True, slots=True)
class Study:
    """What is asked: the toggles, other algorithms to compare with, how often, and how exactly.

    `noise_steps` are the steps from which the noise of the gradient is measured, for each seed.
    """

    toggles: tuple[str, ...] = tuple(TOGGLES)
    against: tuple[str, ...] = ()
    design: Design = "full"
    num_seeds: int = 3
    noise_steps: int = 8

    def check(self, recipe: Recipe) -> None:
        """Raise RecipeError for names that there are not, and what cannot be compared."""
        if not self.toggles:
            raise RecipeError(f"no toggle is given; the toggles are {', '.join(TOGGLES)}")
        for names, known, what in (
            (self.toggles, list(TOGGLES), "toggle"),
            (self.against, _algorithms(), "algorithm"),
        ):
            for name in names:
                if name not in known:
                    raise RecipeError(f"there is no {what} {name!r}; there are {', '.join(known)}")
            if len(set(names)) < len(names):
                raise RecipeError(f"a {what} is named twice: {', '.join(names)}")
        if recipe.rlvr.algorithm in self.against:
            raise RecipeError(
                f"rlvr.algorithm is {recipe.rlvr.algorithm!r} already; compare it with another"
            )
        if "rlvr" not in recipe.run.stages:
            raise RecipeError("run.stages has no 'rlvr'; there is nothing to compare")
        if self.num_seeds < 1 or self.noise_steps < 2:
            raise RecipeError(
                f"{self.num_seeds} seeds and {self.noise_steps} noise steps; give at least 1 seed "
                "and 2 steps"
            )

    def variants(self, algorithm: str) -> list[Variant]:
        """All of the toggles on first, all off last, then the other algorithms with all off."""
        if self.design == "full":
            switches = itertools.product((True, False), repeat=len(self.toggles))
            chosen = [tuple(itertools.compress(self.toggles, on)) for on in switches]
        else:
            one_out = [tuple(n for n in self.toggles if n != out) for out in self.toggles]
            chosen = list(dict.fromkeys([self.toggles, *one_out, ()]))
        return [Variant(algorithm, on) for on in chosen] + [Variant(a) for a in self.against]

    def pairs(self, variants: Sequence[Variant], toggle: str) -> list[tuple[Variant, Variant]]:
        """The variants with the toggle, each with the one that differs in it alone."""
        found = [(v, v.without(toggle)) for v in variants if toggle in v.on]
        return [(on, off) for on, off in found if off in variants]


def variant_recipe(
    recipe: Recipe, variant: Variant, toggles: Sequence[str], seed: int, tokens: int
) -> Recipe:
    """The recipe of a variant, ending after so many sampled tokens; 0 leaves its end as it is.

    A toggle that is on has the recipe's value, or the schema's own where the recipe has it off.
    """
    changes: dict[str, Any] = {"algorithm": variant.algorithm, "seed": recipe.rlvr.seed + seed}
    for name in toggles:
        toggle = TOGGLES[name]
        given = getattr(recipe.rlvr, toggle.key)
        on = given if given != toggle.off else Rlvr.model_fields[toggle.key].default
        changes[toggle.key] = on if name in variant.on else toggle.off
    if tokens:
        # A response has a token at least, so the budget ends the run, not the steps.
        responses = recipe.rlvr.prompts_per_step * recipe.rlvr.group_size
        changes |= {"token_budget": tokens, "num_steps": -(-tokens // responses)}
    data = recipe.model_dump()
    return parse_recipe(data | {"rlvr": data["rlvr"] | changes}, origin=variant.name)


def spaced(toggle: str) -> str:
    return toggle.replace("_", " ")


def _algorithms() -> tuple[str, ...]:
    return get_args(Rlvr.model_fields["algorithm"].annotation)
