"""One LongRoPE regime for a whole run, whatever the batch.

LongRoPE (arXiv 2402.13753) has two sets of factors of the rotary frequencies, for sequences within
and beyond the length of pre-training. transformers takes the set by the longest position in the
batch, so that a short sequence's log-probabilities would change with its neighbours; vLLM takes it
by the longest context it serves. A pinned model has one set twice: whoever picks gets the same.
The factor on the attention follows from the two lengths alone and is the same in both regimes.
"""

from __future__ import annotations

from typing import Any, Literal

from minireason.errors import MissingError

Rope = Literal["auto", "long", "short"]

REGIME_KEY = "longrope_regime"
"""Where the config says which regime the model is pinned to."""


def pin_rope(config: Any, rope: Rope = "auto", context: int | None = None) -> None:
    """Make both sets of LongRoPE factors in the config the chosen one, and say so in it.

    `auto` keeps the regime the model is pinned to; an unpinned one gets long where `context`, the
    longest of the run in tokens, exceeds the length of pre-training (or is not given), else short.
    Raises MissingError for the other regime of a pinned model, and by `auto` for a context that
    the short one it is pinned to was not made for.
    """
    _require_steady(config, context)
    longropes = [each for each in _ropes(config) if each.get("rope_type") == "longrope"]
    if not longropes:
        return
    pinned = getattr(config, REGIME_KEY, None)
    if rope == "auto":
        original = longropes[0]["original_max_position_embeddings"]
        if pinned == "short" and context is not None and context > original:
            raise MissingError(
                f"the run's longest context is {context} and the model was trained with its short "
                f"LongRoPE factors, for up to {original}; lower model.max_length and the "
                "seq_lengths, start from the unpinned base, or set model.rope = 'short'"
            )
        rope = regime(pinned, original, context)
    if pinned not in (None, rope):
        raise MissingError(
            f"model.rope is {rope!r} and the model was trained with its {pinned} LongRoPE factors; "
            "it holds no others. Use 'auto', or start from the unpinned base"
        )
    for longrope in longropes:
        longrope["short_factor"] = longrope["long_factor"] = list(longrope[f"{rope}_factor"])
    setattr(config, REGIME_KEY, rope)


def regime(pinned: Rope | None, original: int, context: int | None) -> Rope:
    """What `auto` means for a model pre-trained on `original` tokens."""
    return pinned or ("long" if context is None or context > original else "short")


def share_frequencies(model: Any) -> None:
    """Give the layers of a pinned model one set of frequencies, to the bit.

    transformers computes the second set when it first needs it, perhaps on another device than the
    first, whose powers differ in the last place.
    """
    for module in model.modules():
        if getattr(module, "rope_type", None) == "longrope":
            module.long_inv_freq = module.original_inv_freq.detach().clone()


def _require_steady(config: Any, context: int | None) -> None:
    """Refuse `dynamic` frequencies where they would follow the longest position of the batch."""
    is_dynamic = any(each.get("rope_type") == "dynamic" for each in _ropes(config))
    if not is_dynamic or context is None:
        return
    limit = config.get_text_config().max_position_embeddings
    if context > limit:
        raise MissingError(
            f"the run's longest context is {context} and the model's dynamic rotary frequencies "
            f"change with the batch beyond {limit}; lower model.max_length and the seq_lengths"
        )


def _ropes(config: Any) -> list[dict[str, Any]]:
    """The rotary parameters: one set, or one a kind of layer."""
    parameters = getattr(config.get_text_config(), "rope_parameters", None) or {}
    nested = [value for value in parameters.values() if isinstance(value, dict)]
    return nested or [parameters]
