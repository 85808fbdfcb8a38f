"""How far a model is from its teacher on a batch's target tokens, without holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from minireason.model.head import declared_form
from minireason.model.logprobs import PLAIN, HeadForm
from minireason.train.forward import target_states
from minireason.train.packing import MicroBatch

TOKENS = 1024  # whose logits are held at once


class BesideTeacher(torch.nn.Module):
    """A causal language model that is scored by another one's distributions, not by the tokens.

    In the place of log-probabilities it returns the negative Kullback-Leibler divergence of the
    model from the teacher at each of the N target tokens, in nats (Hinton et al. 2015,
    arXiv 1503.02531), so that the next-token objective minimises it.
    """

    def __init__(self, model: Any, teacher: Any) -> None:
        super().__init__()
        self.model = model
        self.teacher = [teacher]  # in a list: it is no part of what is trained

    def forward(
        self, batch: MicroBatch, temperature: float, with_entropy: bool
    ) -> tuple[torch.Tensor, None]:
        """The negative divergences [N]; an entropy is not to be had."""
        (teacher,) = self.teacher
        with torch.no_grad():
            taught_ND = target_states(teacher, batch)
        states_ND = target_states(self.model, batch)
        taught_VD = teacher.get_output_embeddings().weight.detach()
        weight_VD = self.model.get_output_embeddings().weight
        form = declared_form(self.model.config)
        parts = zip(taught_ND.split(TOKENS), states_ND.split(TOKENS), strict=True)
        divergences = [
            checkpoint(
                divergence, *part, taught_VD, weight_VD, form, temperature, use_reentrant=False
            )
            for part in parts
        ]
        return -torch.cat(divergences), None


def divergence(
    taught_ND: torch.Tensor,
    states_ND: torch.Tensor,
    taught_VD: torch.Tensor,
    weight_VD: torch.Tensor,
    form: HeadForm = PLAIN,
    temperature: float = 1.0,
) -> torch.Tensor:
    """KL(teacher || model) [N] in nats, from last hidden states and the heads' matrices."""
    log_taught_NV = _logprobs(taught_ND, taught_VD, form, temperature)
    logprobs_NV = _logprobs(states_ND, weight_VD, form, temperature)
    return (log_taught_NV.exp() * (log_taught_NV - logprobs_NV)).sum(1)


def _logprobs(
    states_ND: torch.Tensor, weight_VD: torch.Tensor, form: HeadForm, temperature: float
) -> torch.Tensor:
    logits_NV = form.logits(states_ND.float() @ weight_VD.float().T)
    return (logits_NV / temperature).log_softmax(1)
