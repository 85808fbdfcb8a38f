"""Every stage of the smoke run again with adapters: each leaves a merged model and its adapter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from minireason import workbench
from minireason.errors import RecipeError
from minireason.pipeline import build_steps
from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.recipe_file import parse_recipe
from minireason.runfolder import StepFolder, read_json
from minireason.runner import Runner, select
from minireason.step import StepContext
from minireason.train.learner import Learner
from minireason.world import World

STAGES = {"midtrain": "base", "sft": "midtrain", "dpo": "sft", "rlvr": "dpo"}
IDS = torch.tensor([[5, 9, 40, 41, 7, 100, 101]])
CHANGES: dict[str, dict[str, Any]] = {
    "lora": {"rank": 4, "dropout": 0.1},
    "midtrain": {"learning_rate": 1e-3, "max_steps": 2},
    "sft": {"learning_rate": 1e-3, "max_steps": 2},
    "dpo": {"learning_rate": 1e-3, "max_steps": 2},
    "rlvr": {"learning_rate": 1e-3, "num_steps": 2, "kl_weight": 0.1},
}


@pytest.fixture(scope="module")
def recipe(smoke_recipe: Recipe) -> Recipe:
    plain = smoke_recipe.model_dump()
    return parse_recipe({name: plain[name] | CHANGES.get(name, {}) for name in plain})
