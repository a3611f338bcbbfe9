"""Runs shared out over devices against the same runs in a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import curvature, gradients, sharding
from research.data import Examples


@pytest.mark.parametrize("num_runs", [1, 2, 3, 5])
@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_over_devices_equals_a_loop(num_runs, at_once):
    def fun(state, shared, schedule):
        return {"sum": state["a"] * shared + jnp.sum(schedule), "a": state["a"][0]}

    states = {"a": jnp.arange(num_runs * 3.0).reshape(num_runs, 3)}
    schedules = jnp.arange(num_runs * 2.0).reshape(num_runs, 2)
    shared = jnp.array([1.0, 2.0, 3.0])
    together = jax.jit(sharding.over_devices(fun, (0, None, 0), at_once=at_once))(states, shared, schedules)
    for run in range(num_runs):
        alone = fun({"a": states["a"][run]}, shared, schedules[run])
        jax.tree.map(lambda all_runs, one, run=run: np.testing.assert_array_equal(all_runs[run], one), together, alone)


@pytest.mark.parametrize("num_rows", [1, 4, 5])
def test_rows_over_devices_give_what_one_call_gives(num_rows):
    def table(rows, columns):
        return {"sums": rows[:, None] + columns[None], "rows": rows}

    rows, columns = np.arange(num_rows, dtype=np.float32), np.array([5.0, 7.0], np.float32)
    shared = jax.jit(sharding.rows_over_devices(table, (0, None)))(rows, columns)
    jax.tree.map(np.testing.assert_array_equal, shared, table(rows, columns))


def test_the_runs_lie_on_all_devices():
    assert jax.device_count() == 2
    result = jax.jit(sharding.over_devices(jnp.sin, (0,)))(jnp.arange(4.0))
    assert len(result.devices()) == 2


def test_on_every_device_keeps_the_values():
    tree = {"a": np.arange(3), "b": np.ones((2, 2), np.float32)}
    placed = sharding.on_every_device(tree)
    jax.tree.map(np.testing.assert_array_equal, placed, tree)
    assert all(len(leaf.devices()) == 2 for leaf in placed.values())


def squares(params, example):
    return jnp.sum((params * example.inputs - example.targets) ** 2)


def quadratic(num_examples):
    inputs, targets = np.random.default_rng(num_examples).normal(size=(2, num_examples, 3)).astype(np.float32)
    return Examples(inputs, targets), np.array([1.0, -2.0, 0.5], np.float32)


@pytest.mark.parametrize("num_examples", [1, 2, 7, 8])
def test_devices_that_share_a_run_find_value_gradient_and_curvature_of_all_examples(num_examples):
    examples, params = quadratic(num_examples)
    objective = gradients.mean_over_examples(squares, chunk_size=2)
    product = curvature.hessian_vector_product(objective)

    def look(params, examples):
        return *jax.value_and_grad(objective)(params, examples), product(params, examples, params)

    value, grad, curved = jax.jit(sharding.over_devices(look, (0, None)))(params[None], examples)
    misses = params * examples.inputs - examples.targets
    np.testing.assert_allclose(value[0], (misses**2).sum(axis=1).mean(), rtol=1e-6)
    np.testing.assert_allclose(grad[0], (2 * misses * examples.inputs).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(curved[0], (2 * examples.inputs**2).mean(axis=0) * params, rtol=1e-5)


@pytest.mark.parametrize("num_rows", [1, 2, 7, 8])
def test_joined_shares_are_all_rows_in_their_order(num_rows):
    rows, both = jnp.arange(num_rows), lambda first, second: jnp.concatenate([first, second])
    of_share = lambda run: lambda share: sharding.rows_of(share, rows) + run
    joined = sharding.over_devices(lambda run: sharding.join_shares(of_share(run), both, num_rows), (0,))
    assert joined(jnp.array([10])).tolist() == [list(range(10, 10 + num_rows))]


@pytest.mark.parametrize(("num_runs", "lengths"), [(1, {4, 1}), (2, {9}), (3, {9})])
def test_only_devices_without_a_run_of_their_own_share_out_the_examples(num_runs, lengths):
    seen = set()

    def total(run):
        return sharding.sum_of_shares(lambda share: (seen.add(share[1]), run)[1], 9)

    sharding.over_devices(total, (0,))(jnp.zeros(num_runs, int))
    assert seen == lengths
