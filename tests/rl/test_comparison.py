"""What others say of a step's tokens, against the same computed one response at a time."""

import numpy as np
import pytest
import torch

from minireason.model.tiny import build_model
from minireason.rl.comparison import with_importance, with_reference
from minireason.train.data import make_updates
from minireason.train.forward import score_units
from minireason.train.learner import Learner
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import TokenSequence
from minireason.world import ALONE

SETTINGS = OptimizerSettings(1e-3, 0.0, 0.9, 0.95, 1.0, 0.1, "constant", 1000)


@pytest.fixture(scope="module")
def model():
    return build_model(60, seed=0, num_layers=1)


def updates_of(count, seed=0):
    """`count` responses in two updates, with log-probabilities that nobody has."""
    rng = np.random.default_rng(seed)
    units = []
    for _ in range(count):
        ids, targets = rng.integers(0, 60, rng.integers(4, 12)).tolist(), int(rng.integers(1, 4))
        values = {"old_logprobs": rng.uniform(-5, -3, targets), "advantages": 1.0}
        units.append([TokenSequence(ids, targets, values)])
    return units, make_updates(units, 2, 2, ALONE)


def batches(updates):
    return [batch for update in updates for batch in update.micro_batches]


def in_order(updates, name):
    """The value's numbers with the tokens they belong to, whatever row these are in."""
    found = []
    for batch in batches(updates):
        tokens = batch.ids_BT[batch.target_rows_N, batch.target_columns_N]
        found += zip(tokens.tolist(), batch.values[name].tolist(), strict=True)
    return sorted(found)


def expected(model, units, temperature):
    scored = [score_units(model, [unit], 20, 1, temperature)[0][0] for unit in units]
    targets = [int(t) for ((s,),) in [(u,) for u in units] for t in s.ids[-s.num_targets :]]
    return sorted(zip(targets, np.concatenate(scored).tolist(), strict=True))


def test_the_policy_s_own_log_probabilities_take_the_place_of_the_sampler_s(model):
    units, updates = updates_of(7)
    found, off = with_importance(updates, 0.7, Learner(model, SETTINGS), cap=2.0)
    own = in_order(found, "old_logprobs")
    for (token, value), (same, wanted) in zip(own, expected(model, units, 0.7), strict=True):
        assert (token, value) == (same, pytest.approx(wanted, abs=1e-5))
    for before, after in zip(batches(updates), batches(found), strict=True):
        ratio = (after.values["old_logprobs"] - before.values["old_logprobs"]).exp()
        assert torch.allclose(after.values["importance"], ratio.clamp(max=2.0), rtol=1e-5)
        assert torch.equal(after.values["advantages"], before.values["advantages"])
    assert off["importance_max"] >= off["importance_mean"] > 0


def test_a_reference_s_log_probabilities_are_added(model):
    units, updates = updates_of(5, seed=1)
    reference = build_model(60, seed=1, num_layers=1)
    found = with_reference(updates, 1.0, reference)
    theirs = in_order(found, "reference_logprobs")
    for (token, value), (same, wanted) in zip(theirs, expected(reference, units, 1.0), strict=True):
        assert (token, value) == (same, pytest.approx(wanted, abs=1e-5))
    assert in_order(found, "old_logprobs") == in_order(updates, "old_logprobs")


def test_a_step_without_updates_has_nothing_to_compare(model):
    found, off = with_importance([], 1.0, Learner(model, SETTINGS), cap=2.0)
    assert found == [] and off["importance_mean"] == 1.0
    assert with_reference([], 1.0, model) == []
