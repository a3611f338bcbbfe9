"""The floor of a constant rate: the solved case, the loops against numpy, the end against a dense Hessian, a run."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples, make_params
from jax.flatten_util import ravel_pytree
from test_average_of_nudges import small_digits

from experiments import noise_floor as experiment
from experiments.common import descents
from experiments.common.settings import SettingsError
from research import costs, gradients
from research.data import Examples
from research.models import mlp

ONE = gradients.example_cost(mlp((12, 5, 6, 4)).apply, costs.sum_of_squares)
SMALL = dataclasses.replace(
    experiment.QUICK, scalar_steps=500, start_batch_size=10, start_epochs=2, batch_sizes=(5,),
    learning_rates=(0.5, 1.0), lanczos_iterations=5,
)  # fmt: skip


def problem_of(one):
    """All that the functions under test ask of a Problem."""
    empty = Examples(jnp.zeros((0, 1)), jnp.zeros((0, 1)))
    return descents.Problem(None, one, gradients.mean_over_examples(one), None, empty, empty)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    experiment.run(dataclasses.replace(SMALL, dataset=str(small_digits(out / "digits")), out=out))
    experiment.plot(out)
    return out / experiment.NAME


@pytest.mark.parametrize("eta_h", experiment.ETA_H)
def test_the_stationary_variance_reproduces_itself(eta_h):
    rate, batch_size, variance = eta_h / experiment.CURVATURE, 4, 0.7
    found = experiment.stationary_variance(rate, batch_size, variance)
    assert found == pytest.approx((1 - eta_h) ** 2 * found + eta_h**2 * variance / batch_size)


def test_the_gradient_of_an_example_has_the_variance_that_the_theory_takes():
    x = np.random.default_rng(0).normal(size=(50, 1))
    slopes = jax.vmap(jax.grad(experiment.parabola), (None, 0))(0.3, Examples(jnp.asarray(x), jnp.zeros((50, 1))))
    assert np.var(np.asarray(slopes)) == pytest.approx(experiment.CURVATURE**2 * np.var(x), rel=1e-5)


def test_constant_and_falling_rates_go_as_by_hand_in_a_parabola(x64):
    x, steepness, rng = np.array([1.0, -2.0, 0.5, 4.0]), experiment.CURVATURE, np.random.default_rng(1)
    train, rows = Examples(jnp.asarray(x)[:, None], jnp.zeros((4, 1))), rng.integers(0, 4, (2, 6, 3, 2))
    found = jax.jit(partial(experiment.stumble, problem_of(experiment.parabola)))(
        jnp.asarray(2.0), train, jnp.asarray(rows), jnp.array([0.1, 0.3])
    )
    for index, rate in enumerate((0.1, 0.3)):
        at, middle, path = 2.0, None, []
        for step, batch in enumerate(rows.reshape(-1, 2)):
            middle = at if step == 18 else middle
            at -= rate * steepness * (at - x[batch].mean())
            path.append(at)
        falls = [middle]
        for step, batch in enumerate(rows[1].reshape(-1, 2)):
            falls.append(falls[-1] - rate * (1 - step / 18) * steepness * (falls[-1] - x[batch].mean()))
        for cost, norm, points in (
            (found.cost, found.gradient_norm, path[2::3]),
            (found.falling_cost, found.falling_gradient_norm, falls[3::3]),
        ):  # fmt: skip
            heights = [np.mean(steepness / 2 * (point - x) ** 2) for point in points]
            np.testing.assert_allclose(cost[index], heights, rtol=1e-12)
            np.testing.assert_allclose(norm[index], steepness * np.abs(np.array(points) - x.mean()), rtol=1e-12)
        assert float(found.scatter[index]) == pytest.approx(steepness**2 * np.var(x))


def test_the_end_is_described_as_the_hessian_written_out_says(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 9)
    flat, unflatten = ravel_pytree(params)
    mean = gradients.mean_over_examples(ONE)
    values, vectors = np.linalg.eigh(jax.jit(jax.hessian(lambda point: mean(unflatten(point), examples)))(flat))
    found = jax.jit(partial(experiment.survey, problem_of(ONE), 60))(params, examples, jax.random.key(2))
    np.testing.assert_allclose([found.largest, found.smallest], values[[-1, 0]], rtol=1e-6)
    nudges = np.asarray(jax.vmap(lambda nudge: ravel_pytree(nudge)[0])(
        jax.jit(gradients.per_example_gradients(ONE))(params, examples)))  # fmt: skip
    assert float(found.scatter) == pytest.approx(nudges.var(axis=0).sum())
    np.testing.assert_allclose(np.abs(found.slopes), np.abs(nudges.mean(axis=0) @ vectors[:, [-1, 0]]), rtol=1e-4)
    assert float(found.gradient_norm) == pytest.approx(np.linalg.norm(nudges.mean(axis=0)))
    middle = len(experiment.SLICE) // 2
    np.testing.assert_allclose(found.along[:, middle], found.cost)
    step = experiment.SLICE[1] - experiment.SLICE[0]
    bent = np.diff(np.asarray(found.along)[:, middle - 1 : middle + 2], 2)[:, 0] / step**2
    np.testing.assert_allclose(bent, values[[-1, 0]], rtol=0.02)


def test_one_way_of_sampling_is_a_permutation_and_the_other_is_not():
    keys = jax.random.split(jax.random.key(0), 2)
    shuffled, drawn = experiment.orders(keys, 40, 3).values()
    assert shuffled.shape == drawn.shape == (2, 3, 40)
    np.testing.assert_array_equal(np.sort(shuffled, axis=-1), np.broadcast_to(np.arange(40), (2, 3, 40)))
    assert all(len(set(epoch)) < 40 for epoch in drawn.reshape(-1, 40).tolist())
    assert drawn.min() >= 0
    assert drawn.max() < 40
    halves = experiment.in_halves(shuffled, 3)  # 39 batches: 2 halves of 6 looks at 3 steps, and 3 left out
    assert halves.shape == (2, 2, 6, 3, 3)
    np.testing.assert_array_equal(halves[0, 0, 0, 0], shuffled[0, 0, :3])


def test_a_run_meets_the_solved_case_and_makes_no_claim_about_other_data(finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["claims"] == []
    with np.load(finished / "arrays.npz") as arrays:
        # 2 x 256 x 500 steps, of which 5 % are independent where eta h is 0.05: 1.7 % standard error
        np.testing.assert_allclose(arrays["scalar"], 1, atol=0.06)
        assert arrays["0_height"].shape == (2, 1, 2)
        assert (arrays["ground_smallest"] <= arrays["ground_largest"]).all()
    assert {path.name for path in finished.glob("*.png")} == {
        "noise_floor.png", "solved_case.png", "minimum_or_saddle.png"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch_sizes", ()), ("batch_sizes", (0,)), ("learning_rates", (-1.0,)), ("start_learning_rate", 0.0),
     ("num_epochs", 0), ("scalar_steps", 0), ("lanczos_iterations", 1)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()


@pytest.mark.parametrize(
    ("field", "value"), [("start_batch_size", 131), ("batch_sizes", (131,)), ("batch_sizes", (50,))]
)
def test_batches_that_do_not_fit_are_refused(field, value):
    with pytest.raises(SettingsError, match=r"131|raise --num-epochs"):
        experiment.check_sizes(dataclasses.replace(SMALL, **{field: value}), 130)
