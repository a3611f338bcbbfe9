"""Dead digits: a look against a confusion matrix, the plunge and the wait against real steps, and the claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import make_examples, make_params

from experiments.common import teaching
from experiments.common.problem import Problem
from experiments.networks import dead_digits as experiment
from experiments.networks.dead_digits import FIRST_LOOKS, FULL, HIDDEN, RATE, Result, Settings
from research import costs, gradients, training
from research.data import Examples
from research.models import mlp
from research.training import TrainState

SMALLEST = Settings(num_seeds=2, num_epochs=3, layer_sizes=(784, 3, 10))
LOOKS = np.array([0, *FIRST_LOOKS, 5000, 10_000])


def test_a_look_counts_as_a_confusion_matrix_does():
    examples, params = make_examples(jax.random.key(0), 50), make_params(jax.random.key(1))
    problem = Problem(mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    said, own, accuracy = jax.jit(lambda state: experiment.look(problem, (examples, examples), state))(
        TrainState(params, ())
    )
    table = np.asarray(teaching.confusion(problem.model.apply, params, examples))
    np.testing.assert_allclose(said, table.sum(axis=0), atol=1e-6)
    assert accuracy == pytest.approx(np.trace(table), abs=1e-6)
    outputs = np.asarray(jax.vmap(lambda one: problem.model.apply(params, one))(examples.inputs))
    labels = np.asarray(examples.targets).argmax(axis=1)
    np.testing.assert_allclose(own, [outputs[labels == digit, digit].mean() for digit in range(4)], rtol=1e-5)


@jax.jit
def weighted_sum_after(start, target, num_steps, share=1.0):
    """Of one sigmoid output over HIDDEN neurons, half of them on, after plain steps on a cost times `share`."""
    on = jnp.asarray((np.arange(HIDDEN) < HIDDEN / 2).astype(float))
    example = Examples(on[None], jnp.asarray(target, float)[None, None])
    objective = gradients.mean_over_examples(
        lambda params, one: share * (jax.nn.sigmoid(params[0] @ one.inputs + params[1]) - one.targets[0]) ** 2
    )
    step, params = training.make_step(objective, optax.sgd(RATE)), (jnp.zeros(HIDDEN), jnp.asarray(start, float))
    state = TrainState(params, optax.sgd(RATE).init(params))
    weights, bias = jax.lax.fori_loop(0, num_steps, lambda _, state: step(state, example)[0], state).params
    return weights @ on + bias


def test_one_step_takes_an_output_down_by_at_most_what_the_header_says(x64):
    falls = [start - float(weighted_sum_after(start, 0.0, 1)) for start in np.linspace(-3, 4, 57)]
    bound = 2 * RATE * 4 / 27 * (HIDDEN / 2 + 1)
    assert 0.99 * bound < max(falls) <= bound
    assert bound == pytest.approx(23, abs=0.5)


def test_from_below_its_own_images_raise_it_after_the_wait(x64):
    start = -8.0
    wait = 1 / (2 * RATE / 10 * (HIDDEN / 2 + 1) * np.exp(start))
    assert weighted_sum_after(start, 1.0, int(0.8 * wait), share=0.1) < -5
    assert weighted_sum_after(start, 1.0, int(1.2 * wait), share=0.1) > 0


def test_the_first_epoch_is_cut_and_no_step_is_lost():
    rows = np.arange(2 * 3 * 1500).reshape(2, 3, 1500, 1)
    cut = experiment.legs(rows)
    assert [leg.shape[2] for (leg,) in cut] == [10, 90, 900, 500, 1500, 1500]
    np.testing.assert_array_equal(np.concatenate([leg[:, 0] for (leg,) in cut], axis=1), rows.reshape(2, 4500, 1))


def test_his_network_starts_saturated_and_the_films_does_not(ran):
    his, films = np.abs(ran("dead_digits")[0].result.output[:, :, 0] - 0.5)
    assert his.max() > 0.45
    assert films.max() < 0.4


def made_up(film_dead=0, waited=2, dead_start=0.9, dead_output=1e-7, num_dead=1, seeds=100):
    """All digits are said but in Nielsen's network digit 0, in `num_dead` starts to the end; in the last of the others
    it comes alive at look 3 + `waited`, foretold for the first look after the last of FIRST_LOOKS."""
    said, output = np.full((2, seeds, len(LOOKS), 10), 0.1), np.full((2, seeds, len(LOOKS), 10), 0.5)
    said[0, :num_dead, :, 0], output[0, :num_dead, :, 0] = 0, dead_output
    output[0, :num_dead, 0, 0] = dead_start
    said[1, :film_dead, :, 3] = 0.005
    late = seeds - 1
    said[0, late, : 3 + waited, 0] = 0
    output[0, late, 3, 0] = 1 / ((LOOKS[5] - LOOKS[3]) * 2 * RATE / 10 * (HIDDEN / 2 + 1))
    return Result(LOOKS, said, output, np.full((2, seeds, len(LOOKS)), 0.95))


@pytest.mark.parametrize(
    ("changed", "failing"),
    [({"dead_start": 1e-3}, []), ({}, [3]), ({"film_dead": 1, "dead_start": 1e-3}, [0]),
     ({"waited": 1, "dead_start": 1e-3}, [1]), ({"dead_output": 0.6, "dead_start": 1e-3}, [2]),
     ({"num_dead": 90, "dead_start": 1e-3}, [4])],
)  # fmt: skip
def test_each_claim_fails_where_its_number_is_off(changed, failing):
    found = list(experiment.claims(made_up(**changed), FULL))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_least_patience_is_that_of_the_late_one():
    assert experiment.patience(made_up(waited=2)) == (pytest.approx(1), 1)
    assert experiment.patience(made_up(waited=1)) == (pytest.approx(4000 / 9000), 1)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_the_best_of_three_is_that_of_all_triples(share):
    p, low, high = experiment.best_of_three(share, 100)
    drawn = np.random.default_rng(0).random((200_000, 3)) < share
    assert p == pytest.approx(drawn.any(axis=1).mean(), abs=0.005)
    assert low <= p <= high


def test_dead_is_what_is_said_of_less_than_one_image_in_a_hundred():
    said = np.array([0.0099, 0.0101])[None, None, None]
    assert Result(np.zeros(1, int), said, said, said[..., 0]).dead.ravel().tolist() == [True, False]


def test_of_few_images_nothing_is_claimed():
    assert list(experiment.claims(made_up(), dataclasses.replace(FULL, num_examples=600))) == []
