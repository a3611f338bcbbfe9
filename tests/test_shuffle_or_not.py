"""Ways of drawing: theory against enumeration and simulation, the loop against numpy, a run on a few digits."""

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_average_of_nudges import small_digits

from experiments import shuffle_or_not as experiment
from experiments.common.settings import SettingsError
from research.data import Examples

SMALL = dataclasses.replace(experiment.QUICK, num_seeds=2, chains=2, batch_size=10)


def quadratic_of(num_images, seed=0):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.random((num_images, 9), np.float32), np.eye(3, dtype=np.float32)[np.arange(num_images) % 3]
    return experiment.make_quadratic(Examples(jnp.asarray(inputs), jnp.asarray(targets)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "RATES", np.array([0.01, 0.02, 0.04, 0.08]))
        patch.setattr(experiment, "DRAWN_ORDERS", 100)
        experiment.run(dataclasses.replace(SMALL, dataset=str(small_digits(out / "digits")), out=out))
    experiment.plot(out)
    return out / experiment.NAME


def test_the_optimum_is_one_and_the_hessian_is_as_said():
    quadratic = quadratic_of(12)
    np.testing.assert_allclose(quadratic.slopes.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(quadratic.curvatures.mean(axis=0), experiment.STEEPNESS * np.eye(6), atol=1e-12)


def test_slopes_and_curvatures_are_those_of_the_cost_that_is_run(x64):
    quadratic = quadratic_of(12)
    examples = Examples(jnp.asarray(quadratic.features), jnp.asarray(quadratic.targets)[:, None])
    at = jnp.asarray(quadratic.optimum)
    slopes, curvatures = (
        jax.jit(jax.vmap(lift(experiment.ridge_cost), (None, 0)))(at, examples) for lift in (jax.grad, jax.hessian)
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
    assert experiment.by_lot_theory(quadratic, rate) == pytest.approx(np.mean(total), rel=0.03)


def test_the_excess_is_what_an_epoch_moves_from_the_optimum_beyond_first_order():
    quadratic, rate = quadratic_of(7), 1e-4
    orders = np.array(list(itertools.permutations(range(7))))[::97]
    for order, excess in zip(orders, experiment.excess(quadratic, orders), strict=True):
        apart = np.zeros(6)
        for image in order:
            apart -= rate * (quadratic.curvatures[image] @ apart + quadratic.slopes[image])
        np.testing.assert_allclose(apart / rate**2, excess, atol=0.02 * np.abs(excess).max())


def test_bias_and_variance_of_reshuffling_are_those_of_all_orders(monkeypatch):
    quadratic, rates = quadratic_of(7), np.array([1e-3, 1e-2])
    monkeypatch.setattr(experiment, "DRAWN_ORDERS", 20_000)
    bias, variance = experiment.anew_theory(quadratic, rates, 0)
    excess = experiment.excess(quadratic, np.array(list(itertools.permutations(range(7)))))
    mean, left = excess.mean(axis=0), (1 - rates * experiment.STEEPNESS) ** 7
    np.testing.assert_allclose(bias, rates**4 * (mean @ mean) / (1 - left) ** 2, rtol=1e-10)
    scatter = np.sum((excess - mean) ** 2, axis=1).mean()
    np.testing.assert_allclose(variance, rates**4 * scatter / (1 - left**2), rtol=0.05)


def test_the_loop_keeps_to_the_resting_place_of_a_fixed_order(x64):
    quadratic, order, rate = quadratic_of(8), np.random.default_rng(2).permutation(8), 0.05
    examples = Examples(jnp.asarray(quadratic.features), jnp.asarray(quadratic.targets)[:, None])
    schedule = jnp.asarray(np.tile(order[None, None, :, None], (1, 400, 1, 1)))
    found = jax.jit(experiment.squared_distances)(schedule, examples, jnp.asarray(quadratic.optimum), jnp.array([rate]))
    expected = np.sum(experiment.resting_place(quadratic, order, rate) ** 2)
    np.testing.assert_allclose(found, [expected], rtol=1e-9)


def test_each_way_draws_as_its_name_says():
    labels = np.array([2, 0, 1, 0, 2, 1])
    ways = jax.jit(lambda key: experiment.schedules(key, jnp.asarray(labels), 2, 3))(jax.random.key(0))
    anew, once, by_lot, as_stored, by_label = (np.asarray(way).reshape(3, 6) for way in ways)
    for way in (anew, once, as_stored, by_label):
        assert (np.sort(way, axis=1) == np.arange(6)).all()
    assert (once == once[0]).all()
    assert not (anew == anew[0]).all()
    assert (by_lot < 6).all()
    assert (as_stored == np.arange(6)).all()
    assert (np.diff(labels[by_label], axis=1) >= 0).all()


def test_a_run_makes_no_claim_about_other_data_and_keeps_to_exact_theory(finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["claims"] == []
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["cost"].shape == (5, 2, 2)
        fixed = arrays["distance"][[experiment.AS_STORED, experiment.SORTED]]
        np.testing.assert_allclose(fixed[:, 0], fixed[:, 1], rtol=1e-12)
        np.testing.assert_allclose(fixed[:, 0], arrays["resting"], rtol=0.05)
    assert [path.name for path in finished.glob("*.png")] == ["shuffle_or_not.png"]


@pytest.mark.parametrize(
    ("field", "value"), [("chains", 0), ("batch_size", 0), ("num_epochs", 1), ("learning_rate", 0.0)]
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()


@pytest.mark.parametrize(("batch_size", "num_examples"), [(131, 130), (5, 29)])
def test_what_does_not_fit_into_the_data_is_refused(batch_size, num_examples):
    with pytest.raises(SettingsError, match=str(num_examples)):
        experiment.check_sizes(dataclasses.replace(SMALL, batch_size=batch_size), num_examples)


def test_images_that_do_not_differ_are_refused():
    same = Examples(jnp.ones((30, 9)), jnp.asarray(np.eye(30, 3)))
    with pytest.raises(SettingsError, match="fewer than 6 directions"):
        experiment.make_quadratic(same)
