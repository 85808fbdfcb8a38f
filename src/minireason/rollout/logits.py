"""From logits to tokens: temperature, top-k, top-p and min-p, each row by its own settings.

Randomness is stateless: the numbers of a row are a hash of its seed and its step, so its draws do
not depend on the rows beside it. A token is first drawn from the whole distribution by inverting
the cumulative sum; a draw that falls outside the nucleus is thrown away and drawn again from the
sorted nucleus. Both draws, given where they land, follow the truncated distribution, and with top-p
0.95 only one row in twenty needs a sort of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from minireason.rollout.sampling import SamplingParams
from minireason.rollout.splitmix import GAMMA, MIX_1, MIX_2, WORD, mix


@dataclass(slots=True)
class Settings:
    """The sampling settings of a batch, one entry a row. `key` is the mixed seed of the row."""

    temperature: torch.Tensor
    top_p: torch.Tensor
    top_k: torch.Tensor
    min_p: torch.Tensor
    key: torch.Tensor
    step: torch.Tensor
    has_drawn: bool = True  # some row
    has_greedy: bool = True  # some row
    is_truncated: bool = True  # some row
    is_scaled: bool = True  # some row's temperature is neither 0 nor 1

    @staticmethod
    def of(params: Sequence[SamplingParams], device: torch.device | str = "cpu") -> Settings:
        """The settings of requests at their first token. A greedy row is never truncated."""
        is_drawn = [p.temperature > 0 for p in params]
        top_p = [p.top_p if drawn else 1.0 for p, drawn in zip(params, is_drawn, strict=True)]
        top_k = [p.top_k if drawn else 0 for p, drawn in zip(params, is_drawn, strict=True)]
        min_p = [p.min_p if drawn else 0.0 for p, drawn in zip(params, is_drawn, strict=True)]
        settings = Settings(
            temperature=torch.tensor([p.temperature for p in params], device=device),
            top_p=torch.tensor(top_p, device=device),
            top_k=torch.tensor(top_k, device=device),
            min_p=torch.tensor(min_p, device=device),
            key=torch.tensor([_signed(mix(p.seed & WORD)) for p in params], device=device),
            step=torch.zeros(len(params), dtype=torch.int64, device=device),
        )
        settings.note(params)
        return settings

    def note(self, params: Sequence[SamplingParams]) -> None:
        """Say what some row asks for; what none does costs no work."""
        self.has_drawn = any(p.temperature > 0 for p in params)
        self.has_greedy = any(p.temperature == 0 for p in params)
        self.is_truncated = any(
            p.temperature > 0 and (p.top_k > 0 or p.top_p < 1 or p.min_p > 0) for p in params
        )
        self.is_scaled = any(p.temperature not in (0.0, 1.0) for p in params)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Everything kept per row."""
        return self.temperature, self.top_p, self.top_k, self.min_p, self.key, self.step

    def rows(self, rows: slice | torch.Tensor) -> Settings:
        """The settings of some rows: a view for a slice, a copy for indices."""
        temperature, top_p, top_k, min_p, key, step = (one[rows] for one in self.tensors())
        flags = self.has_drawn, self.has_greedy, self.is_truncated, self.is_scaled
        return Settings(temperature, top_p, top_k, min_p, key, step, *flags)


class Sampled(NamedTuple):
    """A token a row, with its log-probability at the sampling temperature and at 1, in float32."""

    tokens_B: torch.Tensor
    logprobs_B: torch.Tensor
    raw_logprobs_B: torch.Tensor


@torch.no_grad()
def sample(
    logits_BV: torch.Tensor,
    settings: Settings,
    adjusted_BV: torch.Tensor | None = None,
    forced: Mapping[int, int] | None = None,
) -> Sampled:
    """Draw one token a row, from the adjusted logits where there are any.

    The log-probabilities are of the model's own logits: at the row's temperature (0: at 1) and
    *before* top-k, top-p and min-p, which is what a trainer computes. `forced` says which rows take
    which token instead; the random numbers of a step belong to it even so.
    """
    logits_BV = logits_BV.float()
    temperature = settings.temperature
    drawn_from = logits_BV if adjusted_BV is None else adjusted_BV.float()
    scaled_BV, scaled_from = logits_BV, drawn_from
    if settings.is_scaled:
        scale_B1 = torch.where(temperature > 0, temperature, 1.0)[:, None]
        scaled_BV = logits_BV / scale_B1
        scaled_from = scaled_BV if adjusted_BV is None else drawn_from / scale_B1
    if settings.has_drawn:
        tokens = _draw(scaled_from.softmax(-1), settings)
        if settings.has_greedy:
            tokens = torch.where(temperature > 0, tokens, drawn_from.argmax(-1))
    else:
        tokens = drawn_from.argmax(-1)
    if forced:
        rows = torch.tensor(list(forced), device=tokens.device)
        tokens[rows] = torch.tensor(list(forced.values()), device=tokens.device)
    raw_logprobs = _logprobs(logits_BV, tokens)
    logprobs = _logprobs(scaled_BV, tokens) if settings.is_scaled else raw_logprobs
    return Sampled(tokens, logprobs, raw_logprobs)


def _logprobs(logits_BV: torch.Tensor, tokens_B: torch.Tensor) -> torch.Tensor:
    own = logits_BV.gather(-1, tokens_B[:, None])[:, 0]
    return own - logits_BV.logsumexp(-1)


def _draw(probs_BV: torch.Tensor, settings: Settings) -> torch.Tensor:
    tokens = _invert(probs_BV, uniform(settings.key, settings.step, draw=0))
    if not settings.is_truncated:
        return tokens
    rows = (~_is_kept(probs_BV, tokens, settings)).nonzero()[:, 0]
    if len(rows):
        tokens[rows] = _draw_sorted(probs_BV[rows], settings.rows(rows))
    return tokens


def _invert(probs_BV: torch.Tensor, numbers_B: torch.Tensor) -> torch.Tensor:
    """The first token whose cumulative probability exceeds the number: its own is never 0."""
    cumulative = probs_BV.cumsum(-1)
    targets = numbers_B[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, targets, right=True)[:, 0]
    return tokens.clamp(max=probs_BV.shape[1] - 1)


def _is_kept(probs_BV: torch.Tensor, tokens_B: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Whether the token survives the truncation; False where only a sort would tell (top-k)."""
    own = probs_BV.gather(-1, tokens_B[:, None])
    is_likely = own[:, 0] >= settings.min_p * probs_BV.amax(-1)
    return is_likely & (settings.top_k == 0) & _is_in_nucleus(probs_BV, tokens_B, settings.top_p)


def _is_in_nucleus(
    probs_BV: torch.Tensor, tokens_B: torch.Tensor, top_p_B: torch.Tensor
) -> torch.Tensor:
    """Whether the tokens likelier than this one (ties: of lower id) leave room below top-p."""
    own = probs_BV.gather(-1, tokens_B[:, None])
    ids = torch.arange(probs_BV.shape[1], device=probs_BV.device)
    is_before = (probs_BV > own) | ((probs_BV == own) & (ids < tokens_B[:, None]))
    return (top_p_B >= 1) | ((probs_BV * is_before).sum(-1) < top_p_B)


def _draw_sorted(probs_BV: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Draw from the truncated distribution: top-k, then top-p of what top-k left, then min-p."""
    vocabulary = probs_BV.shape[1]
    top_p, top_k = settings.top_p[:, None], settings.top_k[:, None]
    ranked, order = probs_BV.sort(dim=-1, descending=True, stable=True)
    limit = torch.where(top_k > 0, top_k, vocabulary)
    ranked = ranked * (torch.arange(vocabulary, device=ranked.device) < limit)
    mass = ranked.sum(-1, keepdim=True)
    before = ranked.cumsum(-1) - ranked
    is_kept = (before < top_p * mass) | (top_p >= 1)
    is_kept &= ranked >= settings.min_p[:, None] * ranked[:, :1]
    rank = _invert(ranked * is_kept, uniform(settings.key, settings.step, draw=1))
    return order.gather(-1, rank[:, None])[:, 0]


def uniform(key_B: torch.Tensor, step_B: torch.Tensor, draw: int) -> torch.Tensor:
    """Numbers strictly between 0 and 1, a pure function of (key, step, draw); float32 [B]."""
    word = key_B + (2 * step_B + (draw + 1)) * _signed(GAMMA)
    word = (word ^ _shift(word, 30)) * _signed(MIX_1)
    word = (word ^ _shift(word, 27)) * _signed(MIX_2)
    word = word ^ _shift(word, 31)
    return (_shift(word, 41).float() + 0.5) * 2.0**-23  # 23 bits and a half are exact in float32


def _shift(word: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch has only signed 64-bit words."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
