"""What the stages share: the starting model, its rollouts, its tokens, and a fit to the end."""

from minireason.workbench.models import adapt, open_model, open_policy
from minireason.workbench.sampling import judged_rollouts, seeded_part
from minireason.workbench.tokens import (
    TOKENS,
    conversation,
    conversations,
    fitting,
    layout,
    stored_tokens,
)
from minireason.workbench.training import ADAPTER, fit, open_learner

__all__ = [
    "ADAPTER",
    "TOKENS",
    "adapt",
    "conversation",
    "conversations",
    "fit",
    "fitting",
    "judged_rollouts",
    "layout",
    "open_learner",
    "open_model",
    "open_policy",
    "seeded_part",
    "stored_tokens",
]
