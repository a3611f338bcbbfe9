"""The three covariances: enumeration and drawing on points whose answers are known, and a run on a few real digits."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SAME_MEAN

from experiments.mini_batches import sampling_theory
from experiments.mini_batches.sampling_theory import Result, Scatter, Settings
from research import sampling, training
from research.data import Examples

SMALLEST = Settings(num_seeds=2, num_images=60, num_epochs=200, layer_sizes=(784, 10))


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


LOTS, SHUFFLES, PAIRS = np.eye(3)  # which of the three schemes is disturbed


def made_up(*, own=0.0, error=0.0, epoch=0.0, lots_epoch=0.0, schemes=LOTS, size=3):
    """Three seeds whose drawn covariances are theory's, but for such a share of it (seeds) in batches of one size, each
    known to a standard error of 2 %."""
    sizes, num = np.array([1, 3, 10, 30, 60]), 60
    noise = 1 + 0.3 / np.sqrt(2) * np.resize(SAME_MEAN, 201) + np.zeros((3, 5, 1))
    disturbed = lambda share: noise * (1 + np.outer(share + np.zeros(3), sizes == size)[..., None])
    lots, shuffled, both = (disturbed(own * chosen) for chosen in schemes)
    without = (num - sizes) / (num - 1) / sizes
    whole = np.zeros((3, 5, 201))
    whole[-1, -1, -1] = epoch**2
    draws = (num // sizes * sizes)[:, None]
    independent = Scatter(lots / sizes[:, None], 0 * noise, disturbed(lots_epoch) / draws)
    exact = np.zeros((3, 3, 8))
    exact[-1, :, -2], exact[:, :, -1] = error * schemes, np.nan
    return Result(exact, exact, sizes, independent, Scatter(shuffled * without[:, None], -both / (num - 1), whole))


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize(
    ("own", "failing"),
    [(np.array([-0.011, 0.077, 0.077]), []), (np.array([-0.02, 0.09, 0.09]), [0]), (-np.array([-0.02, 0.08, 0.08]), []),
     (-np.array([-0.02, 0.09, 0.09]), [0, 1]), (np.array([0, 0, 0.10]), []), (np.array([0, 0, 0.11]), [1]),
     (np.array([0, 0, -0.08]), []), (np.array([0, 0, -0.09]), [1])],
)  # fmt: skip
def test_the_claims_hold_where_drawn_covariances_are_theorys_and_fail_elsewhere(own, failing, index):
    found = list(sampling_theory.claims(made_up(own=own, schemes=np.eye(3)[index]), SMALLEST))
    expected = [3 + 2 * index + each for each in failing]
    assert [place for place, claim in enumerate(found) if not claim.holds] == expected


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"error": 9.5e-13, "epoch": 9.5e-6}, []), ({"error": 1.05e-12}, [0]), ({"epoch": 1.05e-5}, [9]),
     ({"error": 1.05e-12, "schemes": SHUFFLES}, [1]), ({"error": 1.05e-12, "schemes": PAIRS}, [2]),
     ({"lots_epoch": np.array([-0.011, 0.077, 0.077])}, []), ({"lots_epoch": np.array([-0.02, 0.09, 0.09])}, [10]),
     ({"lots_epoch": -0.053}, [10]),
     ({"own": np.array([-0.02, 0.09, 0.09]), "schemes": PAIRS, "size": 30}, [7])],
)  # fmt: skip
def test_the_claims_about_all_cases_and_whole_epochs(changes, failing):
    found = list(sampling_theory.claims(made_up(**changes), SMALLEST))
    assert [place for place, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_mean_ratios_and_the_largest_error():
    said = sampling_theory.finding(made_up(own=np.array([0.0, 0.0, 0.12]), error=2e-13, schemes=SHUFFLES), SMALLEST)
    assert "All cases for 8 images agree with theory to 2e-13," in said
    # one of the three seeds and of the four sizes below all
    assert "1.000 (with replacement), 1.010 (without replacement), 1.000 (two batches of one shuffle)." in said
