"""The three covariances: enumeration and drawing on points whose answers are known, and a run on a few real digits."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.mini_batches import sampling_theory
from experiments.mini_batches.sampling_theory import Result, Scatter, Settings
from research import sampling, training
from research.data import Examples

SMALLEST = Settings(num_seeds=2, num_images=60, num_epochs=200)


def test_draws_at_once_are_draws_one_by_one():
    points = np.random.default_rng(0).normal(size=(5, 2))
    draws = np.array(list(itertools.product(range(5), repeat=3)))
    means = points[draws].mean(axis=1)
    np.testing.assert_allclose(sampling.every_draw(points, 3), means.T @ means / len(draws), rtol=1e-12)


def test_every_shuffle_is_every_pair_of_batches():
    points = np.random.default_rng(1).normal(size=(4, 2))
    own, both = sampling.every_shuffle(points, 2)
    pairs = [
        (points[[a, b]].mean(axis=0), points[[c, d]].mean(axis=0)) for a, b, c, d in itertools.permutations(range(4))
    ]
    np.testing.assert_allclose(own, np.mean([np.outer(one, one) for one, _ in pairs], axis=0), rtol=1e-12)
    np.testing.assert_allclose(both, np.mean([np.outer(one, other) for one, other in pairs], axis=0), rtol=1e-12)
    assert np.isnan(sampling.every_shuffle(points, 3)[1]).all()  # one batch and a rest


def test_a_wrong_theory_is_noticed():
    points = np.random.default_rng(2).normal(size=(8, 3))  # their mean is not 0, so these are no covariances
    _, errors = sampling_theory.enumerated(points)
    assert np.nanmax(errors) > 0.01


def test_scatter_is_what_a_loop_finds():
    points = jax.random.normal(jax.random.key(0), (12, 3))
    points = points - points.mean(axis=0, keepdims=True)
    schedule = training.shuffled_schedule(jax.random.key(1), 12, 5, 4)
    own, both, whole = sampling_theory.scatter(points, schedule)
    trace = np.mean(np.sum(np.asarray(points) ** 2, axis=1))
    for epoch, batches in enumerate(np.asarray(schedule)):
        one, other = (np.asarray(points)[rows].mean(axis=0) for rows in batches)
        assert float(own[epoch]) == pytest.approx((one @ one + other @ other) / 2 / trace, rel=1e-5)
        assert float(both[epoch]) == pytest.approx(one @ other / trace, rel=1e-4, abs=1e-6)
        assert float(whole[epoch]) == pytest.approx(((one + other) ** 2).sum() / 4 / trace, rel=1e-4, abs=1e-6)


def test_projections_have_no_mean():
    one = lambda params, example: jnp.vdot(params, example.inputs)
    examples = Examples(jax.random.normal(jax.random.key(2), (20, 6)), jnp.zeros((20, 1)))
    found = sampling_theory.projected(one, jnp.zeros(6), examples, jax.random.key(3))
    assert found.shape == (20, sampling_theory.DIRECTIONS)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    assert np.linalg.matrix_rank(np.asarray(found), tol=1e-4) == 6


def made_up(own=1.0, both=1.0, error=1e-15, epoch=1e-8):
    """Two seeds whose drawn covariances are theory's, times these factors, with one percent of noise."""
    sizes, num = np.array([1, 3, 10, 30, 60]), 60
    noise = 1 + 0.01 * np.random.default_rng(0).normal(size=(2, 5, 200))
    without = (num - sizes) / (num - 1) / sizes
    shuffled = Scatter(own * without[:, None] * noise, -both / (num - 1) * noise, np.full((2, 5, 200), epoch**2))
    lots = own / sizes[:, None] * noise
    independent = Scatter(lots, 0 * noise, own / (num // sizes * sizes)[:, None] * noise)
    exact = np.full((2, 3, 8), error)
    return Result(exact, exact, sizes, independent, shuffled)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, 0), ({"own": 1.1}, 5), ({"both": 1.1}, 2), ({"both": -1.0}, 2), ({"error": 1e-9}, 3), ({"epoch": 1e-3}, 1)],
)
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changes, failing):
    found = list(sampling_theory.claims(made_up(**changes), SMALLEST))
    assert (len(found), sum(not claim.holds for claim in found)) == (11, failing)
