"""From logits to tokens: temperature, top-p and top-k for a batch, each row by its own settings.

Randomness is stateless: the numbers of a row are a hash of its seed and its step, so its draws do
not depend on the rows beside it. A token is first drawn from the whole distribution by inverting
the cumulative sum; a draw that falls outside the nucleus is thrown away and drawn again from the
sorted nucleus. Both draws, given where they land, follow the truncated distribution, and with top-p
0.95 only one row in twenty needs a sort of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from minireason.rollout.sampling import SamplingParams

_WORD = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15  # splitmix64 (Steele, Lea, Flood 2014)
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


@dataclass(slots=True)
class Settings:
    """The sampling settings of a batch, one entry a row. `key` is the mixed seed of the row."""

    temperature: torch.Tensor
    top_p: torch.Tensor
    top_k: torch.Tensor
    key: torch.Tensor
    step: torch.Tensor
    is_greedy: bool  # every row
    has_greedy: bool  # some row
    is_truncated: bool  # some row

    @staticmethod
    def of(params: Sequence[SamplingParams], device: torch.device | str = "cpu") -> Settings:
        """The settings of requests at their first token. A greedy row is never truncated."""
        drawn = [p.temperature > 0 for p in params]
        top_p = [p.top_p if d else 1.0 for p, d in zip(params, drawn, strict=True)]
        top_k = [p.top_k if d else 0 for p, d in zip(params, drawn, strict=True)]
        return Settings(
            temperature=torch.tensor([p.temperature for p in params], device=device),
            top_p=torch.tensor(top_p, device=device),
            top_k=torch.tensor(top_k, device=device),
            key=torch.tensor([_signed(_mix(p.seed & _WORD)) for p in params], device=device),
            step=torch.zeros(len(params), dtype=torch.int64, device=device),
            is_greedy=not any(drawn),
            has_greedy=not all(drawn),
            is_truncated=any(top_k) or min(top_p, default=1.0) < 1,
        )

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Everything kept per row."""
        return self.temperature, self.top_p, self.top_k, self.key, self.step

    def rows(self, rows: slice | torch.Tensor) -> Settings:
        """The settings of some rows: a view for a slice, a copy for indices."""
        temperature, top_p, top_k, key, step = (tensor[rows] for tensor in self.tensors())
        return replace(self, temperature=temperature, top_p=top_p, top_k=top_k, key=key, step=step)


@torch.no_grad()
def sample(logits_BV: torch.Tensor, settings: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one token a row; return tokens [B] and their log-probabilities [B] in float32.

    The log-probability is that of the temperature-scaled distribution *before* top-p and top-k
    (temperature 0: of the unscaled one): what a trainer computes from the model's logits.
    """
    temperature = settings.temperature
    scale = torch.where(temperature > 0, temperature, torch.ones_like(temperature))
    logprobs_BV = torch.log_softmax(logits_BV.float() / scale[:, None], dim=-1)
    if settings.is_greedy:
        tokens = logprobs_BV.argmax(-1)
    else:
        tokens = _draw(logprobs_BV.exp(), settings)
        if settings.has_greedy:
            tokens = torch.where(temperature > 0, tokens, logprobs_BV.argmax(-1))
    return tokens, logprobs_BV.gather(-1, tokens[:, None])[:, 0]


def _draw(probs_BV: torch.Tensor, settings: Settings) -> torch.Tensor:
    tokens = _invert(probs_BV, uniform(settings.key, settings.step, draw=0))
    if not settings.is_truncated:
        return tokens
    outside = ~_is_in_nucleus(probs_BV, tokens, settings.top_p) | (settings.top_k > 0)
    rows = outside.nonzero()[:, 0]
    if len(rows):
        numbers = uniform(settings.key[rows], settings.step[rows], draw=1)
        tokens[rows] = _draw_sorted(
            probs_BV[rows], settings.top_p[rows], settings.top_k[rows], numbers
        )
    return tokens


def _invert(probs_BV: torch.Tensor, numbers_B: torch.Tensor) -> torch.Tensor:
    """The first token whose cumulative probability exceeds the number: its own is never 0."""
    cumulative = probs_BV.cumsum(-1)
    targets = numbers_B[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, targets, right=True)[:, 0]
    return tokens.clamp(max=probs_BV.shape[1] - 1)


def _is_in_nucleus(
    probs_BV: torch.Tensor, tokens_B: torch.Tensor, top_p_B: torch.Tensor
) -> torch.Tensor:
    """Whether the tokens likelier than this one (ties: of lower id) leave room below top-p."""
    own = probs_BV.gather(-1, tokens_B[:, None])
    ids = torch.arange(probs_BV.shape[1], device=probs_BV.device)
    is_before = (probs_BV > own) | ((probs_BV == own) & (ids < tokens_B[:, None]))
    return (top_p_B >= 1) | ((probs_BV * is_before).sum(-1) < top_p_B)


def _draw_sorted(
    probs_BV: torch.Tensor, top_p_B: torch.Tensor, top_k_B: torch.Tensor, numbers_B: torch.Tensor
) -> torch.Tensor:
    """Draw from the truncated distribution: top-k first, then top-p of what top-k left."""
    vocabulary = probs_BV.shape[1]
    ranked, order = probs_BV.sort(dim=-1, descending=True, stable=True)
    limit = torch.where(top_k_B > 0, top_k_B, vocabulary)[:, None]
    ranked = ranked * (torch.arange(vocabulary, device=ranked.device) < limit)
    mass = ranked.sum(-1, keepdim=True)
    before = ranked.cumsum(-1) - ranked
    is_kept = (before < top_p_B[:, None] * mass) | (top_p_B[:, None] >= 1)
    rank = _invert(ranked * is_kept, numbers_B)
    return order.gather(-1, rank[:, None])[:, 0]


def uniform(key_B: torch.Tensor, step_B: torch.Tensor, draw: int) -> torch.Tensor:
    """Numbers strictly between 0 and 1, a pure function of (key, step, draw); float32 [B]."""
    word = key_B + (2 * step_B + (draw + 1)) * _signed(_GAMMA)
    word = (word ^ _shift(word, 30)) * _signed(_MIX_1)
    word = (word ^ _shift(word, 27)) * _signed(_MIX_2)
    word = word ^ _shift(word, 31)
    return (_shift(word, 41).float() + 0.5) * 2.0**-23  # 23 bits and a half are exact in float32


def _shift(word: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch has only signed 64-bit words."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * _MIX_1) & _WORD
    word = ((word ^ (word >> 27)) * _MIX_2) & _WORD
    return word ^ (word >> 31)


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
