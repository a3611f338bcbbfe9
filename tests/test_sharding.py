"""Runs shared out over devices against the same runs in a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import sharding


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
