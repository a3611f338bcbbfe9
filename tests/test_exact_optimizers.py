"""Conjugate gradients written out, and results on which the laws hold and do not."""

import numpy as np
import pytest

from experiments.networks import exact_optimizers
from experiments.networks.exact_optimizers import Result, Settings

SMALLEST = Settings(seed=3, num_seeds=2, dimensions=4)


def conjugate_gradients(hessian, right):
    """Hestenes and Stiefel: the point after every step."""
    point, rest = np.zeros(len(right)), right
    way, points = rest, []
    for _ in right:
        length = rest @ rest / (way @ hessian @ way)
        point, left = point + length * way, rest - length * hessian @ way
        way, rest = left + left @ left / (rest @ rest) * way, left
        points.append(point)
    return np.array(points)


def test_the_errors_are_those_of_conjugate_gradients_written_out(ran):
    run, _ = ran("exact_optimizers")
    for seed, found in zip((3, 4), run.result.errors, strict=True):
        rng = np.random.default_rng(seed)
        turned = np.linalg.qr(rng.standard_normal((4, 4)))[0]
        curvatures, right = np.array([1.0, 34.0, 67.0, 100.0]), rng.standard_normal(4)
        solution = turned @ (turned.T @ right / curvatures)
        off = conjugate_gradients(turned * curvatures @ turned.T, right) - solution
        np.testing.assert_allclose(found, np.linalg.norm(off, axis=1) / np.linalg.norm(solution), rtol=1e-9, atol=1e-13)
    assert run.result.sgd_error < 1e-7


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
