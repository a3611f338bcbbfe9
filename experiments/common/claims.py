"""Claims: what is said, the measured number, the bound that was fixed before the run, and where that comes from.

    yield prediction("T33", "their cosine with the full gradient is the formula's", off, about(0, by=0.05),
                     "cosine, median", "1/sqrt(1 + B_simple/B), McCandlish et al. arXiv:1812.06162")

There are four kinds. An identity is true of any network, by algebra or, where something is drawn, but for chance: it
checks the code. A prediction is a number of theory or of the literature: it may fail. A follow-up is asked after
something failed. Speed is a wish about this machine.
"""

import dataclasses
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from experiments.common.bounds import blaming, require


class Bound(NamedTuple):
    """Where a measured number must lie; None is no bound on that side. `expected` is the number that theory gives."""

    low: float | None = None
    high: float | None = None
    expected: float | None = None

    def __contains__(self, number: Any) -> bool:
        low, high = (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)
        return math.isfinite(number) and low <= number <= high

    def __str__(self) -> str:
        """
        >>> str(within(0, 1)), str(at_most(2)), str(at_least(3)), str(about(1, by=0.05)), str(exactly(7850))
        ('0 to 1', 'at most 2', 'at least 3', '1 (0.95 to 1.05)', '7,850')
        """
        if self.low == self.high:
            return number(self.low)
        if self.low is None:
            said = f"at most {number(self.high)}"
        elif self.high is None:
            said = f"at least {number(self.low)}"
        else:
            said = f"{number(self.low)} to {number(self.high)}"
        return said if self.expected is None else f"{number(self.expected)} ({said})"


def within(low: float, high: float, expected: float | None = None) -> Bound:
    return Bound(low, high, expected)


def at_most(high: float) -> Bound:
    return Bound(high=high)


def at_least(low: float) -> Bound:
    return Bound(low=low)


def exactly(value: float) -> Bound:
    return Bound(value, value, value)


def about(expected: float, *, by: float = 0.0, share: float = 0.0) -> Bound:
    """No farther from the expected number than `by`, or than that share of it.

    >>> about(100, share=0.05)
    Bound(low=95.0, high=105.0, expected=100)
    """
    off = by + share * abs(expected)
    return Bound(expected - off, expected + off, expected)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of the table. `id` is a row of experiments/common/film.py; `why` is said where the claim fails."""

    kind: str
    id: str
    says: str
    measured: float | np.floating[Any]
    bound: Bound
    unit: str
    source: str  # where the bound comes from
    why: str = ""

    def __post_init__(self) -> None:
        words = (self.id, self.says, self.unit, self.source, self.why)
        require(all(isinstance(text, str) for text in words), f"a claim has {words}, which must all be texts")
        of_which = f"the claim {self.id!r}, {self.says[:80]!r},"
        require(self.kind in KINDS, f"{of_which} is of the kind {self.kind!r}; it must be one of {', '.join(KINDS)}")
        bound = f"{of_which} has the bound {self.bound!r}; take within, at_most, at_least, exactly or about"
        require(isinstance(self.bound, Bound) and all(map(is_side, self.bound)), bound)
        with blaming(f"{of_which} has measured no number"):  # plain from here on, whatever it was computed as
            object.__setattr__(self, "measured", float(self.measured))

    @property
    def holds(self) -> bool:
        return self.measured in self.bound

    def as_record(self) -> dict[str, Any]:
        """For run.json: JSON's own types; a number that is not finite becomes None."""
        shown = self.measured if math.isfinite(self.measured) else None
        said = {"why": self.why} if self.why and not self.holds else {}
        return {
            "id": self.id, "kind": self.kind, "says": self.says, "measured": shown, "unit": self.unit,
            "bound": [None if side is None else float(side) for side in self.bound], "source": self.source,
            "holds": self.holds, **said,
        }  # fmt: skip


def is_side(number: Any) -> bool:
    """Whether a bound may have it: a plain finite number, or none."""
    return number is None or (isinstance(number, int | float | np.floating | np.integer) and math.isfinite(number))


KINDS = ("prediction", "follow-up", "identity", "speed")
prediction, follow_up, identity, speed = (partial(Claim, kind) for kind in KINDS)
Claims = Iterator[Claim]  # what `claims` of an experiment yields


def number(value: float | None) -> str:
    """Four digits, as people write them.

    >>> number(11930), number(0.0123456), number(3.1e-8), number(None)
    ('11,930', '0.01235', '3.1e-08', 'none')
    """
    if value is None:
        return "none"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.4g}"


def worst(deviations: np.ndarray) -> float:
    """The deviation that is farthest from 0, with its sign; NaN if any is.

    >>> worst(np.array([0.1, -0.3])), worst(np.array([0.1, np.nan]))
    (-0.3, nan)
    """
    flat = np.ravel(deviations)
    return float(flat[np.argmax(np.abs(flat))])
