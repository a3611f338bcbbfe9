"""The end of a long training: its description in a parabola that is known, and the claims."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.common.problem import Problem
from experiments.hill import minimum_or_saddle as experiment
from research.data import Examples
from research.models import Model

SMALLEST = experiment.Settings(num_seeds=1, start_batch_size=50, start_epochs=2, lanczos_iterations=4)


def test_the_end_is_described_as_a_parabola_that_is_known_demands(x64):
    curvatures, rng = np.array([3.0, 1.0, 0.5, -0.2]), np.random.default_rng(0)
    x, at = rng.normal(size=(9, 4)), rng.normal(size=4)
    train = Examples(jnp.asarray(x), jnp.zeros((9, 1)))
    model = Model(lambda key: jnp.zeros(4), lambda params, x: params - x)
    problem = Problem(
        model, lambda output, target: jnp.sum(jnp.asarray(curvatures) / 2 * output**2), train, train, (1, 1, 1)
    )
    found = jax.jit(partial(experiment.survey, problem, 4))(jnp.asarray(at), train, jax.random.key(2))
    cost, norm, scatter, largest, smallest, residuals, along = map(np.asarray, found)
    each = curvatures * (at - x)
    slopes = each.mean(axis=0)[[0, -1]]
    np.testing.assert_allclose([largest, smallest], [3.0, -0.2])
    np.testing.assert_allclose(residuals, 0, atol=1e-12)
    assert norm == pytest.approx(np.linalg.norm(each.mean(axis=0)))
    assert scatter == pytest.approx(each.var(axis=0).sum())
    lengths, bends = experiment.SLICE, curvatures[[0, -1], None] / 2 * experiment.SLICE**2
    for index in range(2):  # a direction's sign is nobody's choice
        ways = [cost + sign * slopes[index] * lengths + bends[index] for sign in (1, -1)]
        assert any(np.allclose(along[index], way) for way in ways)


def made_up(smallest, *, missed=0.01, norm=0.05):
    """Two seeds with these smallest eigenvalues, the largest 1; chance alone would make |G| 0.1."""
    ones = np.ones(2)
    along = np.tile(1 + experiment.SLICE**2, (2, 2, 1))
    return experiment.Result(ones, norm * ones, ones, ones, np.array(smallest), np.zeros((2, 2)), along, missed, 100)


def test_a_minimum_is_claimed_where_the_iteration_tells():
    settings = experiment.Settings()

    def verdicts(result):
        return [claim.holds for claim in experiment.claims(result, settings)]

    assert verdicts(made_up([0.0, -0.0005])) == [True, True]
    assert verdicts(made_up([0.0, -0.0011])) == [True, False]
    assert verdicts(made_up([-0.002, -0.003], missed=0.9, norm=0.2)) == [False, False]
    assert verdicts(made_up([0.0, -0.003], missed=0.9)) == [True]  # of the first seed nobody knows
    *_, saddle = experiment.claims(made_up([-0.1, -0.1]), settings)
    assert saddle.why
    (size,) = experiment.claims(made_up([0.0, 0.0], missed=0.9), settings)
    assert size.measured == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("smallest", "missed", "says"),
    [([0.0, -0.002], 0.01, "in 1 of 2 seeds, but |G| is still 0.05: minimum or saddle is undecided"),
     ([0.0, 0.0], 0.01, "in 0 of 2 seeds"), ([0.0, 0.0], 0.9, "too short to tell")],
)  # fmt: skip
def test_the_finding_counts_the_saddles(smallest, missed, says):
    assert says in experiment.finding(made_up(smallest, missed=missed), experiment.Settings())
