"""Where a long training leads: its places in a cost that is known, and the verdicts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import goes_on

from experiments.common import stationary
from experiments.common.problem import Problem
from experiments.hill import minimum_or_saddle as experiment
from research.curvature import Eigenpairs
from research.data import Examples
from research.models import Model

SMALLEST = experiment.Settings(
    num_seeds=2, num_examples=20, start_epochs=3, max_iterations=200, lanczos_iterations=21, layer_sizes=(784, 10)
)
SETTINGS = experiment.Settings()


def extremes(layer, examples):
    """The largest and the smallest eigenvalue of the Hessian of one layer. Every output has a block of its own, c_i x_i
    x_i^T on average, c = C''(z), which has the eigenvalues of c_i x_i . x_j; and of the others all are 0."""
    (outputs,), wanted = plain.activations([layer], examples.inputs)[1:], examples.targets
    slopes, inputs = outputs * (1 - outputs), np.column_stack([examples.inputs, np.ones(len(examples.inputs))])
    bends = 2 * slopes**2 + 2 * (outputs - wanted) * slopes * (1 - 2 * outputs)
    found = np.linalg.eigvals(bends.T[:, :, None] * (inputs @ inputs.T) / len(inputs)).real
    return max(found.max(), 0), min(found.min(), 0)


def test_it_looks_where_the_long_training_ends_and_where_the_gradient_falls_below_every_level(ran):
    run, _ = ran("minimum_or_saddle")
    settings, result, (train, _, starts, _) = run.settings, run.result, plain.begin(run.settings)
    train = train._replace(inputs=train.inputs / 255)
    for seed, end in enumerate(plain.trained(settings, train, starts)):
        gradient, outputs = plain.flat(plain.gradient(end, train)), plain.activations(end, train.inputs)[-1]
        wanted = [plain.costs(end, train).mean(), np.linalg.norm(gradient), np.linalg.norm(plain.flat(end)),
                  np.sum((outputs > 0.5) != (train.targets > 0.5)) / len(outputs), *extremes(*end, train)]  # fmt: skip
        np.testing.assert_allclose([of[seed, 0] for of in result[:6]], wanted, rtol=1e-4)
    assert (result.gradient_norm[:, 1:] < experiment.LEVELS).all()
    assert (np.diff(result.cost) < 0).all()
    assert (np.diff(result.size) > 0).all()
    np.testing.assert_allclose(result.cost[:, -1], result.wrong[:, -1], atol=1e-5)  # all outputs are 0 or 1
    assert (result.residual < 0.01 * result.largest).all()
    assert result.num_examples == len(train.inputs)
    width = np.sqrt(experiment.TOLERANCE) * (2 * settings.lanczos_iterations - 1)
    assert result.missed == pytest.approx(1.648 * np.sqrt(7850) * np.exp(-width))


def test_the_residual_is_that_of_the_smallest_eigenvalue(x64, monkeypatch):
    """Of -0.1 in place of -0.2, whose vector is known; the largest is found exactly."""
    found = Eigenpairs(jnp.array([3.0, 1.0, -0.1]), jnp.eye(4)[jnp.array([0, 1, 3])])
    monkeypatch.setattr(experiment.curvature, "ritz_pairs", lambda *_, **__: found)
    train, model = (
        Examples(np.zeros((1, 4)), np.ones((1, 4))),
        Model(lambda key: jnp.zeros(4), lambda params, x: params),
    )
    halves = jnp.array([3.0, 1.0, 0.5, -0.2]) / 2  # of a parabola's curvatures
    problem = Problem(model, lambda output, target: jnp.sum(halves * output**2), train, train, (1, 1, 1))
    *_, largest, smallest, residual = jax.jit(partial(experiment.survey, problem, 4))(jnp.zeros(4), train, None)
    np.testing.assert_allclose([largest, smallest, residual], [3.0, -0.1, 0.1], rtol=1e-12)


def test_going_on_passes_every_level_and_stops_at_the_last():
    steepness = np.array([1.0, 10.0, 300.0])
    hill = lambda point: (point @ (steepness * point) / 2, steepness * point)
    places = stationary.go_on(hill, np.ones(3), (1e-2, 1e-9), 1000)
    norms = np.linalg.norm(steepness * places, axis=1)
    assert norms[0] == np.linalg.norm(steepness)
    assert 1e-9 <= norms[1] < 1e-2
    assert norms[2] < 1e-9


def test_a_level_that_is_not_reached_is_stood_for_by_the_last_point():
    hill = lambda point: (np.sum(np.logaddexp(0, -point)), -1 / (1 + np.exp(point)))  # falls for ever
    places = stationary.go_on(hill, np.zeros(1), (1e-1, 1e-300), 4)
    assert np.isfinite(places).all()
    assert places[2] > places[1] > places[0]


def test_a_run_that_goes_on_descends_for_the_seeds_that_are_left(x64, tmp_path):
    train = Examples(jnp.array([[0.1, 0.3], [0.7, 0.2]]), jnp.ones((2, 2)))
    model = Model(lambda key: jnp.zeros(2), lambda params, x: params - x)
    problem = Problem(model, lambda output, target: jnp.sum(output**2), train, train, (1, 1, 1))
    starts = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    find = partial(stationary.paths, problem, starts, (1e-2, 1e-9), 100)
    found, computed = goes_on(find, 1, tmp_path / "name")
    assert computed == [2, 3]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, find())


def made_up(*, falls=1.0, smallest=0.0, norm=1e-8, residual=0.0, wrong=0.002, missed=0.01, cost=0.002):
    """Two seeds of 1,000 images whose |G| goes from 0.1 to `norm`; the sharpness from 1 to `falls`."""
    level = lambda first, last: np.tile([first, last], (2, 1))
    return experiment.Result(
        level(0.01, cost), level(0.1, norm), level(1.0, 2.0), level(0.02, wrong), level(1.0, falls),
        level(-0.1, smallest * falls), level(0.0, residual * falls), missed, 1000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "verdict", "holds"),
    [
        ({}, "minimum", [True, True]),
        ({"smallest": -0.0005}, "minimum", [True, True]),
        ({"smallest": -0.01}, "saddle", [True, False]),
        ({"smallest": -0.01, "residual": 0.02}, "undecided", [True]),
        ({"smallest": -0.0005, "residual": 0.002}, "undecided", [True]),
        ({"missed": 0.9}, "undecided", [True]),
        ({"missed": 0.9, "smallest": -0.01}, "saddle", [True, False]),
        ({"norm": 2e-7, "smallest": -0.01}, "undecided", []),
        ({"falls": 1e-7}, "infinity", [False, True]),
        ({"falls": 1e-7, "cost": 0.0025}, "infinity", [False, False]),
        ({"falls": 1e-7, "norm": 2e-7}, "undecided", []),
    ],
)
def test_each_verdict_and_its_claims(change, verdict, holds):
    result = made_up(**change)
    assert experiment.verdicts(result).tolist() == [verdict] * 2
    claims = list(experiment.claims(result, SETTINGS))
    assert [claim.holds for claim in claims] == holds
    assert all(claim.why for claim in claims if not claim.holds and claim.kind == "prediction")
    assert f"{experiment.SAYS[verdict]} (in 2 of 2 seeds)" in experiment.finding(result, SETTINGS)


@pytest.mark.parametrize(
    ("falls", "field", "value", "holds"),
    [
        (1.0, "largest", 1e-7**0.49, [True, True]),
        (1.0, "largest", 1e-7**0.51, [False, True, True]),
        (1.0, "smallest", -0.00095, [True, True]),
        (1.0, "smallest", -0.00105, [True, False]),
        (1e-7, "cost", 0.002 + 9.5e-6, [False, True]),
        (1e-7, "cost", 0.002 - 1.05e-5, [False, False]),
    ],
)
def test_one_seed_is_enough_to_fail(falls, field, value, holds):
    result = made_up(falls=falls)
    getattr(result, field)[-1, -1] = value
    assert [claim.holds for claim in experiment.claims(result, SETTINGS)] == holds


def test_a_seed_that_does_not_converge_says_nothing_of_where_the_others_come_to():
    result = made_up()
    result.gradient_norm[-1, -1], result.largest[-1, -1] = 2e-7, 1e-7
    assert [claim.holds for claim in experiment.claims(result, SETTINGS)] == [True, True]


def test_the_exponent_is_that_of_a_power_law():
    np.testing.assert_allclose(experiment.exponents(made_up(falls=1e-7)), 1)
    np.testing.assert_allclose(experiment.exponents(made_up(falls=1e-7**0.3)), 0.3)
    assert np.isnan(experiment.exponents(made_up(norm=0.1))).all()


def test_of_seeds_that_end_differently_each_is_said():
    mixed = made_up()
    mixed.smallest[0, -1] = -0.1
    said = experiment.finding(mixed, SETTINGS)
    assert "to a local minimum (in 1 of 2 seeds) and to a saddle (in 1 of 2 seeds)" in said
