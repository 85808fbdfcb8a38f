"""The sequences that wait for a slot: first come, first served, but equal prompts together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from minireason.rollout.sequence import LiveSequence

Context = tuple[int, ...]
Group = tuple[Context, list[LiveSequence]]


class WaitingLine:
    """Groups of sequences that continue the same tokens, in the order they came."""

    def __init__(self) -> None:
        self._groups: OrderedDict[Context, list[LiveSequence]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, context: Context) -> bool:
        return context in self._groups

    def append(self, sequence: LiveSequence) -> None:
        self._groups.setdefault(sequence.context, []).append(sequence)
        self._count += 1

    def put_first(self, sequence: LiveSequence) -> None:
        context = sequence.context
        self.append(sequence)
        self._groups.move_to_end(context, last=False)

    def remove(self, numbers: set[int]) -> None:
        """Forget the sequences of these numbers, those that are here."""
        for context, members in list(self._groups.items()):
            left = [one for one in members if one.number not in numbers]
            self._replace(context, members, left)

    def first(self) -> Context:
        return next(iter(self._groups))

    def take(self, num_free: Callable[[int], int], max_tokens: int) -> list[Group]:
        """Take groups from the front: what fits the free slots and one prefill.

        `num_free(length)` says how many slots are free for sequences of up to that length; the
        prefill is of `max_tokens` tokens at most, or of one prompt.
        """
        taken: list[Group] = []
        num_taken = num_tokens = longest = 0
        for context, members in self._groups.items():
            num_tokens += len(context)
            longest = max(longest, len(context))
            free = num_free(longest) - num_taken
            if free <= 0 or (taken and num_tokens > max_tokens):
                break
            taken.append((context, members[:free]))
            num_taken += len(taken[-1][1])
        for context, some in taken:
            members = self._groups[context]
            self._replace(context, members, members[len(some) :])
        return taken

    def _replace(
        self, context: Context, members: list[LiveSequence], by: list[LiveSequence]
    ) -> None:
        self._count -= len(members) - len(by)
        if by:
            self._groups[context] = by
        else:
            del self._groups[context]
