"""The benchmark's contestants against jax.grad, and a small run in which all of them agree. No timing is asserted."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples, make_params
from jax.flatten_util import ravel_pytree

from experiments import benchmark as experiment
from experiments.common import peers
from experiments.common.settings import SettingsError
from research import costs, gradients, models

SMALL = dataclasses.replace(
    experiment.QUICK, rounds=2, pause=0.0, num_seeds=2, num_examples=200, surface_examples=50, resolution=3
)
SIZES = (12, 5, 6, 4)
ONE = gradients.example_cost(models.mlp(SIZES).apply, costs.sum_of_squares)


def data():
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 23)
    return params, examples, jax.tree.map(np.asarray, (params, examples.inputs, examples.targets))


def test_numpys_gradient_is_jaxs(x64):
    params, examples, by_hand = data()
    wanted = jax.jit(jax.grad(gradients.mean_over_examples(ONE)))(params, examples)
    np.testing.assert_allclose(ravel_pytree(peers.numpy_gradient(*by_hand))[0], ravel_pytree(wanted)[0], rtol=1e-12)


def test_numpys_epoch_is_a_step_for_every_row(x64):
    params, examples, by_hand = data()
    rows, rate = np.array([[0, 5, 7], [1, 2, 22]]), 0.7
    slope = jax.jit(jax.grad(gradients.mean_over_examples(ONE)))
    for chosen in rows:
        grads = slope(params, jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], examples))
        params = jax.tree.map(lambda leaf, grad: leaf - rate * grad, params, grads)
    found = peers.numpy_epoch(*by_hand, rows, rate)
    np.testing.assert_allclose(ravel_pytree(found)[0], ravel_pytree(params)[0], rtol=1e-12)


def test_numpys_variances_are_those_of_the_single_gradients(x64):
    params, examples, by_hand = data()
    each = jax.jit(gradients.per_example_gradients(ONE))(params, examples)
    wanted = np.concatenate([np.var(layer.weights, axis=0).ravel() for layer in each])
    np.testing.assert_allclose(peers.numpy_variances(*by_hand, chunk_size=10), wanted, rtol=1e-10)


def test_all_contestants_of_a_run_agree(finished):
    record = json.loads((finished / "run.json").read_text())
    assert [claim["holds"] for claim in record["claims"]] == [True]
    assert len(record["works"]) == 6
    with np.load(finished / "arrays.npz") as arrays:
        assert all(seconds.shape == (2,) and seconds.min() > 0 for seconds in arrays.values())
    assert (finished / "benchmark.png").stat().st_size > 10_000


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    timed = experiment.Timed("work", {"own": np.array([1.0, 2.0, 4.0]), "other": np.array([3.0, 4.0, 20.0])}, {})
    assert experiment.ratios(timed) == {"own": 1.0, "other": 3.0}


def test_one_row_stands_for_the_whole_grid_and_is_compared_with_its_part():
    whole, row = jnp.arange(6.0).reshape(2, 3), jnp.array([0.0, 1.0, 2.5])
    timed = experiment.take_turns(
        experiment.Work("grid", {"own": experiment.Way(lambda: whole), "row": experiment.Way(lambda: row, 2)}), 1, 0.0
    )
    assert timed.apart == {"own": 0.0, "row": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("field", "value"), [("rounds", 0), ("pause", -1.0), ("resolution", 1), ("surface_examples", 201)]
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()
