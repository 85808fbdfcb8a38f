"""The recipe: one strict TOML file describes a whole run. The paper's values are the defaults.

The text under each field is its only documentation; `docs/recipe.md` is generated from it.
Paper: Phi-4-Mini-Reasoning, arXiv 2504.21233. This package imports no torch.
"""

from minireason.recipe.data import RolloutSettings
from minireason.recipe.schema import Recipe, longest_context
from minireason.recipe.training import Midtrain, Training
from minireason.recipe.values import Section

__all__ = ["Midtrain", "Recipe", "RolloutSettings", "Section", "Training", "longest_context"]
