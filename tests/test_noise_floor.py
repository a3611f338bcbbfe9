"""The floor of a constant rate: the solved case, the loops and the end against numpy, and a run on a few digits."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples
from test_average_of_nudges import small_digits

from experiments import noise_floor as experiment
from experiments.common import descents
from experiments.common.settings import SettingsError
from research import gradients
from research.data import Examples

SMALL = dataclasses.replace(
    experiment.QUICK, scalar_steps=10, start_batch_size=10, start_epochs=2, batch_sizes=(5,),
    learning_rates=(0.5, 1.0), num_looks=3, lanczos_iterations=5,
)  # fmt: skip


def problem_of(one):
    """All that the functions under test ask of a Problem."""
    empty = Examples(jnp.zeros((0, 1)), jnp.zeros((0, 1)))
    return descents.Problem(None, one, gradients.mean_over_examples(one), None, empty, empty)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "CHAINS", 2)
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


def test_the_end_is_described_as_a_parabola_that_is_known_demands(x64):
    curvatures, rng = np.array([3.0, 1.0, 0.5, -0.2]), np.random.default_rng(0)
    x, at = rng.normal(size=(9, 4)), rng.normal(size=4)
    examples = Examples(jnp.asarray(x), jnp.zeros((9, 1)))
    problem = problem_of(lambda params, example: jnp.sum(jnp.asarray(curvatures) / 2 * (params - example.inputs) ** 2))
    found = jax.jit(partial(experiment.survey, problem, 4))(jnp.asarray(at), examples, jax.random.key(2))
    nudges = curvatures * (at - x)
    slopes = nudges.mean(axis=0)[[0, -1]]
    np.testing.assert_allclose([found.largest, found.smallest], [3.0, -0.2])
    np.testing.assert_allclose(found.residuals, 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(found.slopes), np.abs(slopes))
    assert float(found.gradient_norm) == pytest.approx(np.linalg.norm(nudges.mean(axis=0)))
    assert float(found.scatter) == pytest.approx(nudges.var(axis=0).sum())
    signed = np.asarray(found.slopes)[:, None]  # a direction's sign is nobody's choice
    expected = float(found.cost) + signed * experiment.SLICE + curvatures[[0, -1], None] / 2 * experiment.SLICE**2
    np.testing.assert_allclose(found.along, expected)
    seed = jax.tree.map(lambda leaf: np.asarray(leaf)[None], found)
    _, claim = experiment.ground_claims(seed, 9, partial(experiment.Claim, num_seeds=1))
    assert not claim.holds
    minimum = seed._replace(smallest=np.array([0.0]), missed=np.array([0.01]))
    assert experiment.ground_claims(minimum, 9, partial(experiment.Claim, num_seeds=1))[1].holds
    unclear = minimum._replace(missed=np.array([0.1]))
    (size,) = experiment.ground_claims(unclear, 9, partial(experiment.Claim, num_seeds=1))
    norm, chance = np.linalg.norm(nudges.mean(axis=0)), np.sqrt(nudges.var(axis=0).sum() / 9)
    assert size.measured == pytest.approx(norm / chance)


def test_batches_drawn_with_replacement_repeat_examples_and_leave_others_out():
    drawn = experiment.drawn(0, (2, 12, 40))
    assert drawn.shape == (2, 12, 40)
    assert all(len(set(epoch)) < 40 for epoch in drawn.reshape(-1, 40).tolist())
    assert set(drawn.ravel().tolist()) == set(range(40))  # all but for a chance of 40 (39/40)^960 = 1e-9


def test_each_half_is_the_next_batches_in_their_order():
    order = np.random.default_rng(0).permuted(np.tile(np.arange(40), (2, 3, 1)), axis=-1)
    halves = experiment.in_halves(order, 3, 6)  # 39 batches: 2 halves of 6 looks at 3 steps; 3 batches are left out
    assert halves.shape == (2, 2, 6, 3, 3)
    np.testing.assert_array_equal(halves[1].reshape(-1, 3), order[1, :, :39].reshape(-1, 3)[:36])


def test_the_variance_of_a_run_is_the_one_of_the_theory():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 1), dtype=np.float32)
    rows = rng.integers(0, 100, (experiment.CHAINS, experiment.BURN_IN + 1000, 2), dtype=np.int32)
    found = jax.jit(experiment.scalar_variances)(Examples(x, np.zeros_like(x)), rows)
    theory = [experiment.stationary_variance(eta_h / experiment.CURVATURE, 2, np.var(x)) for eta_h in experiment.ETA_H]
    # 256 x 1000 steps, of which 5 % are independent where eta h is 0.05: 1.2 % standard error
    np.testing.assert_allclose(np.asarray(found) / theory, 1, atol=0.05)


@pytest.mark.parametrize("num_looks", [1, 4])
def test_a_cost_that_falls_steadily_settles_at_its_value_in_the_middle_of_the_second_half(num_looks):
    looks = 10 - np.arange(1, 2 * num_looks + 1) / num_looks  # time is 1 at halftime, 2 at the end
    assert float(experiment.settled(looks)) == pytest.approx(10 - 1.5)


def test_a_run_makes_no_claim_about_other_data(finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["claims"] == []
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["0_height"].shape == (1, 1, 2)
        assert (arrays["ground_smallest"] <= arrays["ground_largest"]).all()
    assert {path.name for path in finished.glob("*.png")} == {
        "noise_floor.png", "solved_case.png", "minimum_or_saddle.png"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch_sizes", ()), ("batch_sizes", (0,)), ("learning_rates", (-1.0,)), ("start_learning_rate", 0.0),
     ("num_epochs", 0), ("num_looks", 0), ("scalar_steps", 0), ("lanczos_iterations", 1)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()


@pytest.mark.parametrize(
    ("field", "value"), [("start_batch_size", 131), ("batch_sizes", (131,)), ("batch_sizes", (50,))]
)
def test_batches_that_do_not_fit_are_refused(field, value):
    with pytest.raises(SettingsError, match=r"is 131; .* so give 1 up to 130|raise --num-epochs"):
        experiment.check_sizes(dataclasses.replace(SMALL, **{field: value}), make_examples(jax.random.key(0), 130))


def test_of_a_single_rate_nothing_is_said_to_grow():
    one = dataclasses.replace(SMALL, batch_sizes=(5,), learning_rates=(1.0,))
    assert not experiment.several(one)
    assert experiment.several(dataclasses.replace(one, batch_sizes=(5, 10)))
    said = experiment.about_the_floor(one, np.array([[[0.02]], [[0.04]]]), least=0.1)
    assert said.endswith("on a floor (height at η/B): 0.03 at 0.2.")


def test_an_end_without_curvature_is_stuck():
    flat = experiment.Ground(*[np.zeros(1)] * len(experiment.Ground._fields))
    with pytest.raises(experiment.runs.Stuck, match="no example has a gradient"):
        experiment.stop_if_flat(SMALL, flat)
