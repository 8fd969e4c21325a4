"""What each number may still draw from pools that it shares: the cap of a bundle per number and month."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from billing.rating.allowances import draw
from billing.rating.pools import Bundle, Party

Ints: TypeAlias = NDArray[np.int64]


@dataclass(slots=True)
class Members:
    """The numbers of a month's calls, by call, and what each has drawn of one bundle so far (in the unit's grain)."""

    member: Ints
    drawn: Ints
    cap: int
    step: int

    @classmethod
    def of(cls, customer: Ints, number: Ints, bundle: Bundle, billed: dict[Party, int]) -> "Members":
        """Tell the numbers apart; `billed` is what their billed calls have drawn."""
        owners, who = np.unique(customer, return_inverse=True)
        lines, line = np.unique(number, return_inverse=True)
        pairs, member = np.unique(who * len(lines) + line, return_inverse=True)
        keys = zip(owners[pairs // len(lines)].tolist(), lines[pairs % len(lines)].tolist(), strict=True)
        drawn = np.array([billed.get((bundle.id, *key), 0) for key in keys], dtype=np.int64)
        return cls(member, drawn, bundle.member_cap or 0, bundle.step)

    def allowed(self, rows: Ints, need: Ints) -> Ints:
        """Return how many units, in whole steps, each of these calls (in call order) may draw at most."""
        member = self.member[rows]
        order = np.argsort(member, kind="stable")
        most = np.empty_like(need)
        most[order] = draw(member[order], need[order], self.cap - self.drawn, self.step).used
        return most

    def take(self, rows: Ints, used: Ints) -> None:
        """Note what the calls have drawn."""
        np.add.at(self.drawn, self.member[rows], used)
