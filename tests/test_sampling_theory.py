"""The three covariances: enumeration and drawing on points whose answers are known, and a run on a few real digits."""

import itertools

import numpy as np
import plain
import pytest
import threefry
from helpers import SAME_MEAN

from experiments.mini_batches import sampling_theory
from experiments.mini_batches.sampling_theory import Result, Scatter, Settings
from research import sampling, training

SMALLEST = Settings(num_seeds=2, num_images=60, num_epochs=4, layer_sizes=(784, 10))
SIZES = (1, 3, 10, 30, 60)


def drawn(key, num_epochs):
    """(which 60 of 600 images, the directions, the orders with replacement, those of shuffles); an order for every
    size: epochs, images."""
    rows_key, directions_key, key = threefry.split(key, 3)
    by_lot, shuffled = (threefry.split(threefry.fold_in(key, scheme), len(SIZES)) for scheme in range(2))
    lots = [threefry.integers(each, num_epochs * 60, 60).reshape(num_epochs, 60) for each in by_lot]
    shuffles = [threefry.shuffles(each, 60, num_epochs) for each in shuffled]
    return threefry.permutation(rows_key, 600)[:60], threefry.normal(directions_key, (7850, 64)) / 8, lots, shuffles


def scatter(points, batches):
    """Epoch by epoch: the mean of |g_B - G|^2, of the products of two batches' and of all, over tr Sigma."""
    means, steps = points[batches].mean(axis=2), batches.shape[1]
    products = means @ means.swapaxes(1, 2) / np.mean(np.sum(points**2, axis=1))  # epochs, steps, steps
    same, every = np.trace(products, axis1=1, axis2=2), products.sum(axis=(1, 2))
    both = (every - same) / (steps * (steps - 1)) if steps > 1 else np.full(len(same), np.nan)
    return same / steps, both, every / steps**2


def test_what_is_drawn_scatters_as_plain_gradients_along_the_directions_do(ran):
    run, _ = ran("sampling_theory")
    train, _, starts, _ = plain.begin(run.settings)
    assert run.result.sizes.tolist() == list(SIZES)
    for seed, (start, (_, key)) in enumerate(zip(starts, threefry.seed_keys(run.settings.seed, 2), strict=True)):
        rows, directions, *orders = drawn(key, run.settings.num_epochs)
        points = plain.flat(plain.gradients(start, plain.rows(train, rows)), leading=1) @ directions
        points -= points.mean(axis=0)
        for found, order in zip((run.result.with_replacement, run.result.shuffled), orders, strict=True):
            for index, size in enumerate(SIZES):
                expected = scatter(points, training.in_batches(order[index], size))
                np.testing.assert_allclose([part[seed, index] for part in found], expected, rtol=1e-4, atol=1e-6)


def test_all_cases_have_the_traces_of_theory_for_every_size(ran):
    sizes, result = np.arange(1, 9), ran("sampling_theory")[0].result
    theory = [1 / sizes, (8 - sizes) / 7 / sizes, np.where(sizes <= 4, -1 / 7, np.nan)]
    np.testing.assert_allclose(result.ratios, np.stack([theory, theory]), rtol=1e-9, atol=1e-12)
    assert np.nanmax(result.errors) < 1e-12


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
    points = np.random.default_rng(2).normal(size=(5, 3))  # their mean is not 0, so these are no covariances
    _, errors = sampling_theory.enumerated(points)
    assert np.nanmax(errors) > 0.01


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
