"""One search for learning rates: every method tries the same grid and is judged by the cost at the end of its own run.

Without it a comparison of methods says nothing (Shallue et al., arXiv:1811.03600).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.common.runs import Diverged

GRID = tuple(2.0**power for power in range(-3, 5))


class Tuned(NamedTuple):
    """The grid, and the median cost over seeds with which each rate ended; infinite where it diverged."""

    rates: Float[np.ndarray, "rates"]
    costs: Float[np.ndarray, "rates"]

    @property
    def best(self) -> float:
        return float(self.rates[np.argmin(self.costs)])

    @property
    def is_inside(self) -> bool:
        """Whether the best rate has a neighbour on both sides: else a better one may lie beyond the grid."""
        return 0 < int(np.argmin(self.costs)) < len(self.rates) - 1


def tune(end_costs: Callable[[float], np.ndarray], rates: Sequence[float] = GRID) -> Tuned:
    """Tries every rate; `end_costs(rate)` gives each seed's cost at the end, or raises Diverged.
    Raises Diverged if every rate does.

    >>> tune(lambda rate: np.array([(rate - 1) ** 2]), (0.5, 1.0, 2.0)).best
    1.0
    >>> tune(lambda rate: np.array([np.nan if rate > 1 else 1 / rate]), (0.5, 1.0, 2.0)).costs.tolist()
    [2.0, 1.0, inf]
    """
    costs, diverged = [], None
    for rate in rates:
        try:
            found = float(np.median(end_costs(rate)))
            costs.append(found if math.isfinite(found) else math.inf)
        except Diverged as error:
            costs.append(math.inf)
            diverged = error
    if diverged is not None and not any(map(math.isfinite, costs)):
        raise diverged
    return Tuned(np.array(rates, float), np.array(costs))
