"""The sampler and reinforcement learning with verifiable reward."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, model_validator

from minireason.recipe.values import Count, Fraction, Positive, Section, TopP

REWARDS = ("correct", "format", "length", "repetition", "overlong")


class Sampler(Section):
    """How the model samples, wherever it does: trials, pairs, RLVR and evaluation."""

    engine: Literal["embedded", "vllm", "server"] = "embedded"
    """`embedded` samples from the very weights that are trained, `vllm` from a copy of them in a
    vLLM engine in the same process, `server` from a vLLM server at `base_url`."""
    base_url: str = ""
    """Address of the server, as `http://localhost:8000/v1`."""
    max_batch: Positive = 64
    """Sequences decoded at once."""
    cache_gib: Annotated[float, Field(ge=0)] = 0.0
    """Memory of the sampler's keys and values, in GiB; where it is full, the youngest sequences
    wait. 0 takes what `max_batch` sequences need, on a GPU at most half of what is free."""

    @model_validator(mode="after")
    def _consistent(self) -> Sampler:
        if (self.engine == "server") != bool(self.base_url):
            raise ValueError(
                f"sampler.engine is {self.engine!r} and sampler.base_url is {self.base_url!r}; "
                "the server engine needs an address, the others have none"
            )
        return self


class Rlvr(Section):
    algorithm: Literal["grpo", "dr_grpo", "dapo", "rloo", "reinforce_pp", "ppo", "srpo"] = "grpo"
    """How rewards become gradients: advantages, loss and which groups are sampled (paper: `grpo`,
    and `ppo` in a comparison)."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    """Peak learning rate (paper: 5e-7)."""
    seed: Count = 0
    """Seed of this stage's sampling, on top of `run.seed`: other seeds repeat the stage alone."""
    num_steps: Positive = 200
    """Sampling steps."""
    token_budget: Count = 0
    """End after so many sampled tokens, if that is before `num_steps`; learning rate and
    temperature then go by the share of the tokens. 0: no such end."""
    prompts_per_step: Positive = 16
    """Prompts sampled in a step."""
    group_size: Annotated[int, Field(ge=2)] = 8
    """Responses a prompt in a step."""
    updates_per_step: Positive = 1
    """Optimizer updates on each step's responses, each on a part of them."""
    micro_batch_size: Positive = 1
    """Rows in memory at once."""
    max_tokens: Positive = 25600
    """Longest response, in tokens (paper: 25K)."""
    top_p: TopP = 1.0
    """Nucleus of sampling; below 1 the update is no longer on-policy."""
    temperature_start: Annotated[float, Field(gt=0, le=5)] = 1.0
    """Sampling temperature of the first step (paper: 1.0)."""
    temperature_end: Annotated[float, Field(gt=0, le=5)] = 0.6
    """Sampling temperature after annealing (paper: 0.6)."""
    anneal_fraction: Fraction = 0.5
    """Share of the steps over which the temperature falls (paper: half); 0 keeps the start."""
    prompt_optimization: bool = True
    """Keep prompts whose responses have near-uniform length (paper)."""
    max_length_spread: Annotated[float, Field(gt=0)] = 0.5
    """Prompt optimisation: largest standard deviation over mean of the response lengths."""
    min_pass_rate: Fraction = 0.0
    """Prompt optimisation: drop prompts solved in a smaller share of the trials."""
    max_pass_rate: Fraction = 1.0
    """Prompt optimisation: drop prompts solved in a larger share of the trials."""
    num_candidates: Positive = 1000
    """Questions tried for prompt optimisation."""
    trial_rollouts: Annotated[int, Field(ge=2)] = 8
    """Trial responses a candidate prompt."""
    trial_rounds: Positive = 2
    """Rounds the trials are spread over, evenly: who breaks a rule after one has no further."""
    rebalance: bool = True
    """Reward rebalancing (paper): oversample hard prompts, keep all positives and as many random
    negatives, drop prompts solved too often."""
    min_positives: Count = 1
    """Rebalancing: go on sampling a prompt, `group_size` responses at a time, until so many of its
    responses are correct."""
    oversample: Positive = 2
    """Rebalancing: a prompt gets at most so many times `group_size` responses in a step; 1 gives
    every prompt the same."""
    easy_pass_rate: Fraction = 0.5
    """Rebalancing: drop a group solved more often than this (paper: for example 50 %)."""
    refill_rounds: Count = 3
    """An algorithm with dynamic sampling (`dapo`) replaces groups without a signal by other
    prompts, so many times."""
    rewards: Annotated[dict[str, float], Field(min_length=1)] = {"correct": 1.0}
    """Weights of the rewards that are added up: `correct` (paper: +1 or -1), `format`, `length`,
    `repetition`, `overlong`, or a function of your own as "module:function"."""
    clip_low: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Lower clip range of the probability ratio; 0 takes the algorithm's own."""
    clip_high: Annotated[float, Field(ge=0)] = 0.0
    """Upper clip range of the probability ratio; 0 takes the algorithm's own."""
    kl_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL penalty to the stage's starting model."""
    critic_learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """`ppo`: peak learning rate of the critic."""
    gae_lambda: Fraction = 1.0
    """`ppo`: 1 estimates advantages from whole responses, less trusts the critic more."""
    staleness: Count = 0
    """Steps that sampling runs ahead of training, at the same time as the updates; 0 samples from
    the newest weights, exactly on-policy."""
    importance_cap: Annotated[float, Field(ge=0)] = 2.0
    """Where others than the trained weights have sampled (staleness, vLLM), the loss of a token is
    multiplied by its probability now over then, at most this; 0 does not correct."""
    samples_every: Positive = 10
    """Steps between two of which the samples are kept, for the report's rollout browser."""

    @model_validator(mode="after")
    def _consistent(self) -> Rlvr:
        for name in self.rewards:
            if ":" not in name and name not in REWARDS:
                (nearest,) = get_close_matches(name, REWARDS, 1, cutoff=0)
                raise ValueError(
                    f"rlvr.rewards names {name!r}; the nearest reward is {nearest!r}, and a "
                    "function of your own is 'package.module:function' or 'path/file.py:function'"
                )
        if self.algorithm == "rloo" and self.staleness:
            raise ValueError(
                f"rlvr.staleness is {self.staleness} and rlvr.algorithm 'rloo', for which a whole "
                "response is one action and importance is by the token; set rlvr.staleness = 0"
            )
        if not any(self.rewards.values()):
            raise ValueError(
                f"rlvr.rewards is {self.rewards}, so that every response is worth the same; give "
                "one a weight other than 0"
            )
        if self.min_pass_rate > self.max_pass_rate:
            raise ValueError(
                f"rlvr.min_pass_rate is {self.min_pass_rate}, above rlvr.max_pass_rate "
                f"({self.max_pass_rate}); no prompt could pass"
            )
        return self
