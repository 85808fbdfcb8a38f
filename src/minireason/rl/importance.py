"""Importance weights between the model that sampled and the model that is trained.

A sampler that is not the trainer gives a token another probability, by other kernels, other
precision or older weights, and what it samples is off-policy even before the first update.
Weighting each token's loss by the ratio of the two, held at a cap, corrects for it: truncated
importance sampling (Yao, Liu et al. 2025, "Your Efficient RL Framework Secretly Brings You
Off-Policy RL Training", fengyao.notion.site/off-policy-rl; the estimator is Ionides 2008). verl
(`rollout_is`) and TRL (`vllm_importance_sampling_mode = "token_truncate"`) do the same.

The weight multiplies the loss and takes no gradient; the ratio that PPO clips stays that of the
updated to the proximal model, both as the trainer scores them (Hilton et al. 2022, arXiv
2110.00641).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minireason.errors import DataError, RecipeError

Logprobs = Sequence[float] | np.ndarray


def importance_weights(
    proximal_logprobs: Logprobs, sampler_logprobs: Logprobs, cap: float
) -> np.ndarray:
    """min(trainer's / sampler's probability, cap) of each token; float64 [T].

    Both in nats and at the sampling temperature; `proximal_logprobs` are those of the weights
    before the step's first update, as the trainer scores them. Raises DataError where the two are
    not of the same tokens, RecipeError for a cap that is not positive.
    """
    if not cap > 0:
        raise RecipeError(f"the importance cap is {cap}; it must be positive, 2 is usual")
    log_ratio_T = _log_ratios(proximal_logprobs, sampler_logprobs)
    return np.exp(np.minimum(log_ratio_T, np.log(cap)))


def mismatch_metrics(
    proximal_logprobs: Logprobs, sampler_logprobs: Logprobs, cap: float
) -> dict[str, float]:
    """How far sampler and trainer are apart, over all tokens of a step.

    `importance_mean` and `importance_max` are of the weights before the cap, `importance_capped`
    is the share it holds. `sampler_kl_k1` and `sampler_kl_k3` estimate KL(sampler || trainer) from
    the sampler's tokens: both without bias, k3 with less variance and never negative (Schulman
    2020, joschu.net/blog/kl-approx.html). 0 and 1 where all agree, and where there is no token.
    """
    log_ratio_T = _log_ratios(proximal_logprobs, sampler_logprobs)
    if not log_ratio_T.size:
        log_ratio_T = np.zeros(1)
    ratio_T = np.exp(log_ratio_T)
    return {
        "importance_mean": float(ratio_T.mean()),
        "importance_max": float(ratio_T.max()),
        "importance_capped": float((ratio_T > cap).mean()),
        "logprob_distance": float(np.abs(log_ratio_T).mean()),
        "sampler_kl_k1": float(-log_ratio_T.mean()),
        "sampler_kl_k3": float((np.expm1(log_ratio_T) - log_ratio_T).mean()),
    }


def _log_ratios(proximal_logprobs: Logprobs, sampler_logprobs: Logprobs) -> np.ndarray:
    proximal_T = np.asarray(proximal_logprobs, dtype=np.float64)
    sampler_T = np.asarray(sampler_logprobs, dtype=np.float64)
    if proximal_T.shape != sampler_T.shape:
        raise DataError(
            f"{proximal_T.size} log-probabilities of the trainer and {sampler_T.size} of the "
            "sampler; a vLLM sampler tells none where top-p or top-k cut: set top_p = 1"
        )
    return proximal_T - sampler_T
