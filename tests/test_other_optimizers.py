"""The other optimizers: what is counted, when conjugate gradients end, and a whole run on a small data set."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_average_of_nudges import small_digits

from experiments import other_optimizers as experiment
from experiments.common.settings import SettingsError

SMALL = dataclasses.replace(experiment.QUICK, num_seeds=1, num_examples=60, batch_size=20, budget=20, cpu_devices=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    # two of the five families, the plainest and the one that searches, and two numbers of each: few programs
    few = [method._replace(grid=method.grid[1:3]) for method in experiment.METHODS if method.label != "Adam"][::3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "METHODS", tuple(few))
        patch.setattr(experiment, "CURVATURES", (0.1, 0.4))
        experiment.run(dataclasses.replace(SMALL, dataset=str(small_digits(out / "digits")), out=out))
    return out / experiment.NAME


def bowl(point):
    """A narrow valley in two dimensions, whose lowest place is at (1, 1)."""
    return (1 - point[0]) ** 2 + 10 * (point[1] - point[0] ** 2) ** 2


@pytest.mark.parametrize("make", [optax.sgd, experiment.line_searched], ids=["sgd", "L-BFGS"])
def test_every_evaluation_is_counted(make):
    asked = []
    optimizer = experiment.counted(make(0.2))

    def watched(point):  # tells whenever it is computed
        jax.debug.callback(lambda _: asked.append(1), point[0])
        return bowl(point)

    def step(params, state):
        cost, grad = jax.value_and_grad(watched)(params)
        updates, state = optimizer.update(grad, state, params, value=cost, grad=grad, value_fn=watched)
        return optax.apply_updates(params, updates), state

    params = jnp.array([-0.5, 0.5])
    state, step = optimizer.init(params), jax.jit(step)
    for _ in range(3):
        params, state = step(params, state)
    jax.effects_barrier()
    assert int(state.evaluations) == len(asked)
    assert len(asked) >= 3


def test_conjugate_gradients_end_in_as_many_steps_as_there_are_dimensions():
    for seed in range(5):
        steps, remaining = experiment.steps_on_a_quadratic(seed)
        assert steps == experiment.DIMENSIONS
        assert remaining < 1e-8


def test_conjugate_gradients_stop_when_the_budget_is_spent():
    def both(point):
        x, y = point
        return bowl(point), np.array([-2 * (1 - x) - 40 * x * (y - x**2), 20 * (y - x**2)])

    seen = experiment.costs_seen(both, np.array([-0.5, 0.5], np.float32), 0.4, budget=7)
    assert len(seen) == 7
    assert seen[0] == pytest.approx(1.5**2 + 10 * 0.25**2)


def test_a_run_leaves_claims_that_hold_and_falling_curves(finished):
    record = json.loads((finished / "run.json").read_text())
    assert [claim["holds"] for claim in record["claims"]] == [True] * 3  # C20 is about the film's network
    with np.load(finished / "arrays.npz") as arrays:
        starts = set()
        for label in record["full"]:
            cost = arrays[f"full_{label}_cost"]
            assert cost.shape == (1, 20)
            assert (np.diff(cost, axis=1) <= 0).all()
            starts.add(round(float(cost[0, 0]), 5))
        assert len(starts) == 1  # all from the same place
    assert set(record["mini"]) == set(record["full"]) - {experiment.CONJUGATE}


def test_its_figure_is_drawn_from_the_files(finished):
    experiment.plot(finished.parent)
    assert (finished / "other_optimizers.png").stat().st_size > 20_000


def test_the_best_number_is_that_of_the_lowest_median_at_the_end():
    cost = np.array([[[5.0, 3.0], [5.0, 3.0], [5.0, 0.0]], [[5.0, 2.0], [5.0, 2.0], [5.0, 9.0]]])
    best = experiment.best_of((0.1, 0.2), experiment.Curve(cost, np.ones((2, 3))))
    assert best.number == 0.2
    np.testing.assert_array_equal(best.cost, cost[1])


@pytest.mark.parametrize(("field", "value"), [("budget", 19), ("batch_size", -1), ("num_examples", 0)])
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(SettingsError, match=f"--{field.replace('_', '-')} is {value}"):
        dataclasses.replace(SMALL, **{field: value}).check()
