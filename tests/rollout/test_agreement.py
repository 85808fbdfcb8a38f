"""Whether a copy of the weights is noticed to be another one."""

import pytest
import torch
from vllm_server import small_model

from minireason.errors import SamplingError
from minireason.rollout.agreement import require_agreement
from minireason.rollout.engine import Engine


@pytest.fixture
def model():
    return small_model(0).model


def test_a_copy_agrees_also_in_bfloat16(model):
    require_agreement(Engine(model, [], 4, 64), model)
    rounded = small_model(0).model.to(torch.bfloat16)
    require_agreement(Engine(rounded, [], 4, 64), model)


@pytest.mark.parametrize("name", ["model.layers.1.self_attn.qkv_proj", "model.layers.0.mlp"])
def test_a_layer_that_stayed_behind_is_an_error(model, name):
    behind = small_model(0).model
    with torch.no_grad():
        for parameter in behind.get_submodule(name).parameters():
            parameter.zero_()
    with pytest.raises(SamplingError, match="nats from the model's"):
        require_agreement(Engine(behind, [], 4, 64), model)


def test_the_shortest_context_is_enough(model):
    require_agreement(Engine(model, [], 4, 2), model)
