"""Conjugate gradients on a quadratic of two dimensions, and results on which the laws hold and do not."""

import numpy as np
import pytest

from experiments.networks import exact_optimizers
from experiments.networks.exact_optimizers import Result, Settings

SMALLEST = Settings(dimensions=4)


def test_two_steps_end_in_two_dimensions():
    errors = exact_optimizers.errors_on_a_quadratic(2, seed=1)
    assert errors[0] > 1e-3
    assert errors[1] < 1e-14


@pytest.mark.parametrize(
    ("last", "sgd", "verdicts"), [(1e-15, 1e-8, [True, True]), (1e-3, 1e-8, [False, True]), (1e-15, 0.1, [True, False])]
)
def test_the_claims_tell_exact_from_not(last, sgd, verdicts):
    found = exact_optimizers.claims(Result(np.array([[0.5, last]]), sgd), SMALLEST)
    assert [claim.holds for claim in found] == verdicts
