"""What computes the same numbers, and who is told that it does not."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from experiments.common import posing
from experiments.common.bounds import SettingsError
from experiments.networks import same_numbers
from experiments.networks.same_numbers import AGAIN, FOUND, Result, Settings
from research import training

SMALLEST = Settings(num_examples=200, num_steps=2, batch_size=100, layer_sizes=(784, 10))
WAYS = ("a process", AGAIN, "1 of 2 devices", "2 of 2 devices", "Python 3.13.0, JAX 0.12.0")
APART = np.zeros((len(WAYS), len(FOUND)))


def changed(way, found, apart):
    table = APART.copy()
    table[way, found] = apart
    return Result(WAYS, table, 100)


@pytest.mark.parametrize("found", range(len(FOUND)))
@pytest.mark.parametrize(
    ("way", "apart", "missed"),
    [
        (1, 1e-12, "another process of the same Python"),
        (2, 2e-6, "any number"),
        (3, 9e-7, None),
        (3, 2e-6, "any number"),
        (4, 9e-7, None),
        (4, 2e-6, "Python 3.13.0, JAX 0.12.0 finds"),
    ],
)
def test_every_way_and_every_number_is_held_to_its_bound(way, apart, missed, found):
    says = [claim.says for claim in same_numbers.claims(changed(way, found, apart), SMALLEST) if not claim.holds]
    assert [said.startswith(missed) for said in says] == ([True] if missed else [])


def test_the_finding_names_the_number_that_differs_most():
    said = same_numbers.finding(changed(3, FOUND.index("noise"), 3e-7), SMALLEST)
    assert "1 of 2 devices: the same bits" in said
    assert "2 of 2 devices: 3.0e-07 (in noise)" in said


def test_the_numbers_are_those_of_every_example_by_itself():
    """From all gradients one by one, and the whole Hessian."""
    settings = replace(SMALLEST, layer_sizes=(784, 1, 10), num_examples=50, batch_size=25)
    posed = posing.pose(settings)
    keys = jax.random.split(jax.random.key(settings.seed), 3)
    params, unravel = ravel_pytree(posed.model.init(keys[0]))
    schedule = np.asarray(training.shuffled_schedule(keys[1], 50, 25, 1))[0]

    def costs(flat, train):
        return jax.vmap(posed.example_cost, (None, 0))(unravel(flat), train)

    each = np.asarray(jax.jacobian(costs)(params, posed.train), float)
    cost, grads, noise, ended, top = same_numbers.numbers_on(posed, settings, jax.devices()[:1])
    np.testing.assert_allclose(cost, costs(params, posed.train).mean(), rtol=1e-6)
    np.testing.assert_allclose(grads, each.mean(axis=0), rtol=0, atol=1e-6 * np.abs(grads).max())
    np.testing.assert_allclose(noise, each.var(axis=0).sum(), rtol=1e-5)
    for rows in schedule:
        params -= jax.grad(lambda flat, rows=rows: costs(flat, posed.train)[rows].mean())(params)
    np.testing.assert_allclose(ended, params, rtol=0, atol=1e-6 * np.abs(ended).max())
    hessian = np.asarray(jax.hessian(lambda flat: costs(flat, posed.train).mean())(ended.astype(np.float32)), float)
    np.testing.assert_allclose(top, np.linalg.eigvalsh(hessian)[-1], rtol=1e-4)


def test_a_python_that_is_none_is_refused():
    with pytest.raises(SettingsError, match="no-such-python, which is no program"):
        replace(SMALLEST, pythons=("no-such-python",)).check()
