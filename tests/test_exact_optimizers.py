"""Conjugate gradients on a quadratic of two dimensions, and results on which the laws hold and do not."""

import numpy as np
import pytest

from experiments.networks import exact_optimizers
from experiments.networks.exact_optimizers import Result, Settings

SMALLEST = Settings(num_seeds=2, dimensions=4)


def test_two_steps_end_in_two_dimensions():
    errors = exact_optimizers.errors_on_a_quadratic(2, seed=1)
    assert errors[0] > 1e-3
    assert errors[1] < 1e-14


def made_up(last=1e-15, sgd=1e-8):
    """Three quadratics, of which the last is so far off in the end."""
    return Result(np.array([[0.5, 0.1, 0.0], [0.5, 0.2, 0.0], [0.5, 0.1, last]]), sgd)


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [({"last": 9.5e-11, "sgd": 9.5e-8}, [True, True]), ({"last": 1.05e-10}, [False, True]),
     ({"sgd": 1.05e-7}, [True, False])],
)  # fmt: skip
def test_the_claims_tell_exact_from_not(changes, verdicts):
    found = exact_optimizers.claims(made_up(**changes), SMALLEST)
    assert [claim.holds for claim in found] == verdicts


def test_the_finding_is_of_the_worst_quadratic():
    said = exact_optimizers.finding(made_up(), SMALLEST)
    assert "are off by 0.2 after 3 steps and by 1e-15 after 4; optax.sgd is the plain step to 1e-08" in said
    assert "off by 0.2)" in next(exact_optimizers.claims(made_up(), SMALLEST)).says
