"""Ways of drawing: theory against enumeration and simulation, the loop against numpy, and the claims."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SAME_MEAN

from experiments.common.bounds import SettingsError
from experiments.mini_batches import convex_shuffling
from experiments.mini_batches.convex_shuffling import ANEW, AS_STORED, BY_LOT, QUICK, RATES, SORTED, Result, Settings
from research import data, sampling
from research.data import Examples

SMALLEST = Settings(num_seeds=2, chains=1)


def quadratic_of(num_images, seed=0):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.random((num_images, 9), np.float32), np.eye(3, dtype=np.float32)[np.arange(num_images) % 3]
    return convex_shuffling.make_quadratic(Examples(jnp.asarray(inputs), jnp.asarray(targets)))


def parts(quadratic):
    return quadratic.curvatures, quadratic.slopes


def test_the_optimum_is_one_and_the_hessian_is_as_said():
    quadratic = quadratic_of(12)
    np.testing.assert_allclose(quadratic.slopes.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(quadratic.curvatures.mean(axis=0), convex_shuffling.STEEPNESS * np.eye(6), atol=1e-12)


def test_slopes_and_curvatures_are_those_of_the_cost_that_is_run(x64):
    quadratic = quadratic_of(12)
    examples = Examples(jnp.asarray(quadratic.features), jnp.asarray(quadratic.targets)[:, None])
    at = jnp.asarray(quadratic.optimum)
    slopes, curvatures = (
        jax.jit(jax.vmap(lift(convex_shuffling.ridge_cost), (None, 0)))(at, examples)
        for lift in (jax.grad, jax.hessian)
    )
    np.testing.assert_allclose(slopes, quadratic.slopes, atol=1e-12)
    np.testing.assert_allclose(curvatures, quadratic.curvatures, atol=1e-12)


def test_theory_by_lot_is_a_long_average():
    quadratic, rate, rng = quadratic_of(12), 0.1, np.random.default_rng(1)
    apart, total = np.zeros((2000, 6)), []
    for step in range(300):
        drawn = rng.integers(12, size=len(apart))
        pull = np.einsum("nij,nj->ni", quadratic.curvatures[drawn], apart) + quadratic.slopes[drawn]
        apart -= rate * pull
        total += [np.mean(np.sum(apart**2, axis=1))] if step >= 100 else []
    # 2000 chains over some 20 correlation times: a standard error of half a percent
    assert sampling.variance_by_lot(*parts(quadratic), rate) == pytest.approx(np.mean(total), rel=0.03)


def test_the_excess_is_what_an_epoch_moves_from_the_optimum_beyond_first_order():
    quadratic, rate = quadratic_of(7), 1e-4
    orders = np.array(list(itertools.permutations(range(7))))[::97]
    for order, excess in zip(orders, sampling.excess(*parts(quadratic), orders), strict=True):
        apart = np.zeros(6)
        for image in order:
            apart -= rate * (quadratic.curvatures[image] @ apart + quadratic.slopes[image])
        np.testing.assert_allclose(apart / rate**2, excess, atol=0.02 * np.abs(excess).max())


def test_bias_and_variance_of_reshuffling_are_those_of_all_orders(monkeypatch):
    quadratic, rates = quadratic_of(7), np.array([1e-3, 1e-2])
    monkeypatch.setattr(sampling, "DRAWN_ORDERS", 20_000)
    bias, variance = sampling.bias_and_variance_shuffled(*parts(quadratic), rates, 0)
    excess = sampling.excess(*parts(quadratic), np.array(list(itertools.permutations(range(7)))))
    mean, left = excess.mean(axis=0), (1 - rates * convex_shuffling.STEEPNESS) ** 7
    np.testing.assert_allclose(bias, rates**4 * (mean @ mean) / (1 - left) ** 2, rtol=1e-10)
    scatter = np.sum((excess - mean) ** 2, axis=1).mean()
    np.testing.assert_allclose(variance, rates**4 * scatter / (1 - left**2), rtol=0.05)


def test_the_loop_keeps_to_the_resting_place_of_a_fixed_order(x64):
    quadratic, order, rate = quadratic_of(8), np.random.default_rng(2).permutation(8), 0.05
    examples = Examples(jnp.asarray(quadratic.features), jnp.asarray(quadratic.targets)[:, None])
    schedule = jnp.asarray(np.tile(order[None, None, :, None], (1, 400, 1, 1)))
    found = jax.jit(convex_shuffling.squared_distances)(
        schedule, examples, jnp.asarray(quadratic.optimum), jnp.array([rate])
    )
    expected = np.sum(sampling.resting_place(*parts(quadratic), order, rate) ** 2)
    np.testing.assert_allclose(found, [expected], rtol=1e-9)


def test_the_last_two_ways_rest_where_the_order_as_stored_and_the_order_by_label_lead(ran, small_mnist):
    few = data.take(data.load(str(small_mnist)), slice(convex_shuffling.NUM_IMAGES))
    labels, quadratic = np.asarray(few.targets).argmax(axis=1), convex_shuffling.make_quadratic(few)
    by_label = np.concatenate([np.flatnonzero(labels == label) for label in range(10)])
    for order, found in zip((np.arange(len(labels)), by_label), ran("convex_shuffling")[0].result.resting, strict=True):
        places = [sampling.resting_place(*parts(quadratic), order, rate) for rate in RATES]
        np.testing.assert_allclose(found, np.linalg.norm(places, axis=1) ** 2, rtol=1e-9)


def made_up(*, by_lot=1.0, anew=2.0, exact=1.0, small=1.0, stored=1.5):
    """Distances that go as these powers of the rate, in the mean of three seeds; by lot `exact` times the formula's at
    one rate, anew `small` times theory's; in the order as stored it is so much larger at one rate."""
    one = lambda index, value: np.where(np.arange(len(RATES)) == index, value, 1.0)
    powers = np.array([anew, 2.0, by_lot, 2.0, 2.0])
    distance = 3.0 * RATES ** powers[:, None]
    distance[AS_STORED] *= one(5, stored)
    distance[SORTED] *= 2 if anew == 2 else 10
    apart = 1 + np.outer(SAME_MEAN, 0.1 + 0.2 * (np.arange(len(RATES)) == 3))
    theory = np.array([[0.3], [0.7]]) * distance[ANEW] / small
    return Result(distance[:, None] * apart, distance[BY_LOT] / one(6, exact), theory, np.ones((2, len(RATES))))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"by_lot": 1.19}, []), ({"by_lot": 1.21}, [0]), ({"by_lot": 0.81}, []), ({"by_lot": 0.79}, [0]),
     ({"anew": 2.19}, []), ({"anew": 2.21}, [1]), ({"anew": 1.81}, []), ({"anew": 1.79}, [1]), ({"exact": 1.047}, []),
     ({"exact": 1.053}, [2]), ({"exact": 0.947}, [2]), ({"small": 1.095}, []), ({"small": 1.105}, [3]),
     ({"small": 0.895}, [3]), ({"stored": 1.9}, []), ({"stored": 2.1}, [4])],
)  # fmt: skip
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changes, failing):
    found = list(convex_shuffling.claims(made_up(**changes), QUICK))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_mean_seed():
    said = convex_shuffling.finding(made_up(by_lot=1.1), QUICK)
    assert f"at the rate 0.00025 the squared distance to the optimum is {RATES[0] ** -0.9:,.0f} times larger" in said
    assert "Up to the rate 0.002 it goes as the rate to the power 1.10 drawn by lot, 2.00 shuffled anew." in said


def test_images_that_do_not_differ_are_refused():
    same = Examples(jnp.ones((30, 9)), jnp.asarray(np.eye(30, 3)))
    with pytest.raises(SettingsError, match="fewer than 6 directions"):
        convex_shuffling.make_quadratic(same)
