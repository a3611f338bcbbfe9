"""The average of the nudges: its identities, its chunks, and the claims."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import make_examples, make_params
from test_disputes import assert_they_are_the_wishes_of, rows_of

from experiments.all_examples import average_of_nudges, average_of_nudges_figures
from experiments.all_examples.average_of_nudges import Exact, Result, Settings
from experiments.common.problem import Problem
from research import costs, gradients
from research.data import Examples
from research.models import Model, mlp

SMALLEST = Settings(num_seeds=2, learning_rate=0.5, num_examples=200, layer_sizes=(784, 3, 10))
SIZES = (12, 5, 6, 4)
ONE = gradients.example_cost(mlp(SIZES).apply, costs.sum_of_squares)
BY_HAND = average_of_nudges.nudges_by_hand(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)


def test_every_identity_holds_in_float64(ran):
    found = ran("average_of_nudges")[0].result.exact
    for error in (found.averaged, found.by_hand, found.separate_steps, found.leave_one_out):
        assert (error < 1e-12).all()
    for (mean, spread), factor in ((found.factor.T, 1), (found.halved.T, 0.5)):
        np.testing.assert_allclose(mean, factor, atol=1e-12)
        assert (spread < 1e-9).all()


def test_the_identities_notice_a_gradient_that_is_not_the_average(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 9)
    of_another_cost = average_of_nudges.nudges_by_hand(
        lambda output, target: jnp.sum((output - target) ** 4), jax.nn.sigmoid, jax.nn.sigmoid
    )
    found = Exact(*jax.jit(partial(average_of_nudges.identities, ONE, of_another_cost))(params, examples))
    assert found.by_hand > 0.01
    components = jnp.arange(1.0, 5.0)
    assert average_of_nudges.factor(components**2, components)[1] > 0.1


@pytest.mark.parametrize(("num_examples", "chunk_size"), [(1, 1), (6, 3), (7, 3), (2, 5)])
def test_the_chunks_do_not_change_the_average(num_examples, chunk_size):
    inputs = np.random.default_rng(2).uniform(size=(num_examples, 3)).astype(np.float32)
    examples = Examples(inputs, np.zeros((num_examples, 1), np.float32))
    found = average_of_nudges.average_in_chunks(lambda params, some: some.inputs - params, 0.5, examples, chunk_size)
    np.testing.assert_allclose(found, examples.inputs.mean(axis=0) - 0.5, atol=1e-6)


def test_the_table_is_of_the_first_seeds_trained_network(ran):
    (run, _), films = ran("average_of_nudges"), (2, 5, 0, 4, 1, 9)
    train, networks = plain.untrained_and_trained(run.settings)
    columns = [train.targets.argmax(axis=1).tolist().index(label) for label in films]
    wishes, average, images = run.result.table
    assert_they_are_the_wishes_of(networks[run.settings.num_seeds], wishes, train, columns)
    mean_square = (plain.flat(plain.gradients(networks[run.settings.num_seeds], train), leading=1) ** 2).mean(axis=0)
    assert rows_of(wishes) == average_of_nudges_figures.table_rows(mean_square, (784, 3, 10)).tolist()
    np.testing.assert_allclose(average, wishes.minus_gradient, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(images, train.inputs[columns].reshape(6, 28, 28, 1) / 255, rtol=1e-6)


def test_the_errors_are_of_autodiff_and_by_hand_and_the_identities_of_the_first_seed(monkeypatch):
    """By hand twice as much is wanted; networks are numbers, of two seeds."""
    seen, networks = [], np.arange(4, dtype=np.float32)
    by_hand = lambda *_: lambda params, some: -4 * (params - some.inputs[:, 0])
    monkeypatch.setattr(average_of_nudges, "plain_layers", lambda *_: ())
    monkeypatch.setattr(average_of_nudges, "nudges_by_hand", by_hand)
    monkeypatch.setattr(average_of_nudges.asking, "untrained_and_trained", lambda *_: networks)
    monkeypatch.setattr(average_of_nudges.runs, "in_float64", lambda _: lambda *given: seen.append(given) or given * 3)
    monkeypatch.setattr(average_of_nudges.drawn, "tabulate", lambda problem, *given: given)
    examples = Examples(np.array([[9.0], [11.0]], np.float32), np.zeros((2, 1), np.float32))
    model = Model(lambda _: jnp.zeros(()), lambda params, pixels: params - pixels)
    problem = Problem(model, lambda out, _: out[0] ** 2, examples, examples, (1, 1, 1))
    found = average_of_nudges.measure(problem, Settings(num_seeds=2))
    np.testing.assert_allclose(found.errors, [[0, 1]] * 4, atol=1e-6)
    np.testing.assert_array_equal(seen[0][0], networks[[0, 2]])
    trained, average = found.table
    np.testing.assert_array_equal(trained, networks[[2]])
    np.testing.assert_allclose(average, 2 * (10 - networks[[2]]))


def made_up(average=0.0, by_hand=0.0, exact=0.0, factor=(1.0, 0.0), halved=(0.5, 0.0), steps=0.0, left_out=0.0):
    """Two networks: in the first everything is exact, in the second these are the errors and the factors."""
    second = lambda number, first=0.0: np.array([first, number])
    found = Exact(
        *map(second, (exact, 0.0, steps, left_out)), second(factor, (1.0, 0.0)), second(halved, (0.5, 0.0))
    )  # fmt: skip
    return Result(np.array([(0.0, 0.0), (average, by_hand)]), found, None, 60_000)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({"average": 9.5e-7, "by_hand": 9.5e-7, "exact": 9.5e-13, "steps": 9.5e-13, "left_out": 9.5e-13}, []),
     ({"average": 1.05e-6}, [0]), ({"by_hand": 1.05e-6}, [1]), ({"exact": 1.05e-12}, [2]), ({"steps": 1.05e-12}, [3]),
     ({"left_out": 1.05e-12}, [4]), ({"factor": (2.0, 0.0)}, [5]), ({"factor": (1.0, 1.05e-6)}, [6]),
     ({"halved": (1.0, 0.0)}, [7]), ({"halved": (0.5, 1.05e-6)}, [8])],
)  # fmt: skip
def test_the_claims_fail_where_the_average_is_not_the_gradient(changes, failing):
    found = list(average_of_nudges.claims(made_up(**changes), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_largest_error():
    assert "differs by at most 2e-07 of its length" in average_of_nudges.finding(made_up(by_hand=2e-7), SMALLEST)
