"""Dead digits: both networks trained by numpy, the plunge and the wait against real steps, and the claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain
import pytest
import threefry

from experiments.common import posing
from experiments.networks import dead_digits as experiment
from experiments.networks.dead_digits import FIRST_LOOKS, FULL, HIDDEN, RATE, Result, Settings
from research import gradients, training
from research.data import Examples
from research.training import TrainState

SMALLEST = Settings(num_seeds=2, num_epochs=3, layer_sizes=(784, 3, 10))
LOOKS = np.array([0, *FIRST_LOOKS, 5000, 10_000])


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


def test_both_networks_are_looked_at_on_the_way_of_plain_descent(ran):
    run, _ = ran("dead_digits")
    result, (train, test) = run.result, posing.load(run.settings)
    labels = test.targets.argmax(axis=1)
    assert result.steps.tolist() == [0, 10, 60, 120, 180]
    for seed, (init_key, shuffle_key) in enumerate(threefry.seed_keys(run.settings.seed, run.settings.num_seeds)):
        rows = threefry.shuffles(shuffle_key, 600, 3).reshape(180, 10)
        his = plain.start(init_key, (784, 100, 10), lambda num_in: 1.0, biases=1.0)
        for kind, params in enumerate((his, plain.start(init_key, (784, 3, 10)))):
            for look, leg in enumerate(np.split(rows, result.steps[:-1])):
                params = plain.descend(params, train, leg, RATE)[-1]
                found = plain.activations(params, test.inputs)[-1]
                called = np.bincount(found.argmax(axis=1), minlength=10) / 200
                own = [found[labels == digit, digit].mean() for digit in range(10)]
                at = kind, seed, look
                np.testing.assert_allclose(result.said[at], called, atol=0.011)  # two of 200
                np.testing.assert_allclose(result.output[at], own, rtol=1e-3, atol=1e-5)
                np.testing.assert_allclose(result.accuracy[at], np.mean(found.argmax(axis=1) == labels), atol=0.011)


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
     ({"num_dead": 90, "dead_start": 1e-3}, [4]),
     ({"num_dead": 82, "dead_start": 1e-3}, [])],  # 1 - 0.82^3 is below 1/2, but within chance of it
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
