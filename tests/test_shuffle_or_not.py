"""Results on which the claims about the ways of drawing must hold, and must fail."""

import numpy as np
import pytest

from experiments.mini_batches import shuffle_or_not
from experiments.mini_batches.shuffle_or_not import AS_STORED, BY_LOT, ONCE, QUICK, SORTED, Result, Settings

SMALLEST = Settings(num_seeds=2, batch_size=60, num_epochs=2)


def made_up(changes):
    """Five ways, two seeds, four epochs: all costs 1 but for the changes."""
    cost = np.ones((5, 2, 4))
    cost[SORTED] = 2
    for place, value in changes.items():
        cost[place] = value
    return Result(cost, np.full(cost.shape, 0.9))


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [({}, [True, True]), ({(BY_LOT, 0, 3): 1.1}, [True, True]), ({(BY_LOT,): 0.9}, [True, False]),
     ({(AS_STORED, 1, 0): 3.0}, [False, True]), ({(BY_LOT, 0, 0): 0.1}, [True, True])],
)  # fmt: skip
def test_the_worst_order_and_the_second_half_of_the_epochs_count(changes, verdicts):
    assert [claim.holds for claim in shuffle_or_not.claims(made_up(changes), QUICK)] == verdicts


def test_the_finding_divides_by_shuffled_anew():
    found = shuffle_or_not.finding(made_up({(ONCE,): 1.5}), QUICK)
    assert "1.00 (1.00 to 1.00) times as high drawn by lot as shuffled anew, 1.50 (1.50 to 1.50) shuffled" in found
