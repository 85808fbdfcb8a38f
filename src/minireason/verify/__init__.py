"""Verification: is the final answer of a response right? Exact, fast, and impossible to hang.

`extract` finds the answer, `normalize` and `reading` read it, `equivalence` compares it layer by
layer, `worker` guards the symbolic layer (`symbolic`, math-verify) with processes that are killed
and replaced. Importing this package loads neither sympy nor torch.
"""

from minireason.conventions import Conventions
from minireason.verify.reward import accuracy_reward
from minireason.verify.verifier import Decision, Verifier, verify, verify_batch

__all__ = ["Conventions", "Decision", "Verifier", "accuracy_reward", "verify", "verify_batch"]
