"""Rewards a step's responses while the rest of them are still being sampled."""

from __future__ import annotations

import contextlib
import math
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from types import TracebackType

from minireason.errors import RecipeError
from minireason.rl.rewards import JudgedResponse, Response, Reward, find_reward
from minireason.verify.rollouts import reference
from minireason.verify.verifier import Decision, Verifier

_MAX_BATCH = 16
"""Responses that are verified together: equal answers are decided once, and Ctrl-C waits for no
more than these."""


@dataclass(frozen=True, slots=True)
class Rewarded:
    """What a response is worth: the weighted sum, and each reward as it is without its weight.

    A reward that cannot be told, the verdict being unknown, is not among the parts; the total is
    None if it has a weight.
    """

    total: float | None
    parts: dict[str, float]
    decision: Decision


class Rewarder:
    """Verifies and rewards responses, in a thread beside the sampler or at once.

    `weights` are by the names of `rewards.REWARDS` or `module:function`; one of weight 0 is
    measured and not counted. Raises RecipeError for names and weights that cannot be.
    """

    def __init__(self, weights: Mapping[str, float], verifier: Verifier) -> None:
        self.rewards = find_rewards(weights)
        self.weights, self.verifier = dict(weights), verifier
        self._thread = ThreadPoolExecutor(1, "minireason-rewards")
        self._waiting: queue.SimpleQueue[tuple[Future[Rewarded], Response]] = queue.SimpleQueue()
        self._submitted: dict[int, Future[Rewarded]] = {}

    def __enter__(self) -> Rewarder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave what has not been begun, wait for what has; then there are no more results."""
        self._thread.shutdown(cancel_futures=True)
        for future in self._submitted.values():
            future.cancel()

    def submit(self, key: int, response: Response) -> None:
        """Hand over a response, as a sampler's `on_finish` does; returns at once."""
        if key in self._submitted:
            raise ValueError(f"a response with the key {key} has been submitted before")
        self._submitted[key] = Future()
        self._waiting.put((self._submitted[key], response))
        self._thread.submit(self._work)

    def results(self) -> dict[int, Rewarded]:
        """Wait for all that was submitted since the last call; what it is worth, in key order.

        Raises what a reward or the verifier raised, that of the smallest key.
        """
        submitted, self._submitted = self._submitted, {}
        return {key: submitted[key].result() for key in sorted(submitted)}

    def reward(self, responses: Sequence[Response]) -> list[Rewarded]:
        """What each response is worth, here and now."""
        decisions = self._verify(responses)
        return [self._worth(r, decision) for r, decision in zip(responses, decisions, strict=True)]

    def _work(self) -> None:
        """Reward what waits; there is a call for each response, and the first may take them all."""
        batch: list[tuple[Future[Rewarded], Response]] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MAX_BATCH:
                batch.append(self._waiting.get_nowait())
        if not batch:
            return
        try:
            decisions = self._verify([response for _, response in batch])
        except BaseException as error:  # raised to whoever waits for the results
            for future, _ in batch:
                future.set_exception(error)
            return
        for (future, response), decision in zip(batch, decisions, strict=True):
            try:
                future.set_result(self._worth(response, decision))
            except BaseException as error:
                future.set_exception(error)

    def _verify(self, responses: Sequence[Response]) -> list[Decision]:
        return self.verifier.verify_batch(
            [
                (r.text, reference(r.question, r.answer, r.answer_kind), r.answer_kind)
                for r in responses
            ]
        )

    def _worth(self, response: Response, decision: Decision) -> Rewarded:
        known = {field.name: getattr(response, field.name) for field in fields(Response)}
        judged = JudgedResponse(**known, decision=decision)
        values = {name: reward(judged) for name, reward in self.rewards.items()}
        parts = {name: value for name, value in values.items() if value is not None}
        needed = [name for name, weight in self.weights.items() if weight]
        is_known = all(name in parts for name in needed)
        total = math.fsum(self.weights[n] * parts[n] for n in needed) if is_known else None
        return Rewarded(total, parts, decision)


def find_rewards(weights: Mapping[str, float]) -> dict[str, Reward]:
    """The functions of the weights' names; RecipeError if one is unknown or nothing counts."""
    for name, weight in weights.items():
        if not math.isfinite(weight):
            raise RecipeError(f"the reward {name!r} has the weight {weight}; it must be finite")
    rewards = {name: find_reward(name) for name in weights}
    if not any(weights.values()):
        raise RecipeError(
            f"the rewards are {dict(weights)}, so that every response is worth the same; "
            "give one a weight other than 0, such as rewards = {correct = 1.0}"
        )
    return rewards
