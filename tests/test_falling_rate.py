"""Results on which the claims about a falling rate must hold, and must fail."""

import numpy as np
import pytest

from experiments.common.descents import Curve
from experiments.hill import falling_rate
from experiments.hill.falling_rate import Result, Settings

SMALLEST = Settings(num_seeds=2, num_epochs=2, batch_size=60)


def made_up(falling_costs, norms):
    steps = np.array([10, 20])
    constant = Curve(steps, np.array([[0.5, 0.2], [0.5, 0.2]]), np.full((2, 2), 0.9))
    falling = Curve(steps, np.array([[0.5, cost] for cost in falling_costs]), np.full((2, 2), 0.9))
    return Result(constant, falling, np.full(2, 0.1), np.array(norms))


@pytest.mark.parametrize(
    ("costs", "norms", "verdicts"),
    [((0.1, 0.1), (0.05, 0.01), [True, True]), ((0.1, 0.3), (0.05, 0.01), [True, False]),
     ((0.1, 0.1), (0.05, 0.2), [False, True])],
)  # fmt: skip
def test_one_seed_that_ends_higher_is_enough_to_fail(costs, norms, verdicts):
    found = falling_rate.claims(made_up(costs, norms), SMALLEST)
    assert [claim.holds for claim in found] == verdicts


def test_the_finding_gives_the_range_of_the_seeds():
    assert "seed by seed 0.50 to 0.50 of it; the gradient is 0.10 to 0.50 times as long" in falling_rate.finding(
        made_up((0.1, 0.1), (0.05, 0.01)), SMALLEST
    )
