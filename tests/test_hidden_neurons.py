"""How many hidden neurons: which networks are tried, all of them trained by numpy, and the claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest

from experiments.common import descents, posing, runs
from experiments.common.descents import Trained
from experiments.common.problem import Problem
from experiments.common.tune import Tuned
from experiments.networks import hidden_neurons
from experiments.networks.hidden_neurons import Network, Result, Settings
from research import costs
from research.data import Examples
from research.models import Model, mlp

SMALLEST = Settings(
    num_seeds=4, widths=(0, 3), depths=(0, 1, 2), depth_width=3, num_epochs=2, batch_size=60, learning_rates=(0.5, 2.0),
    layer_sizes=(784, 3, 10),
)  # fmt: skip


def test_every_network_is_tried_once_and_its_parameters_are_counted():
    hidden = hidden_neurons.hidden_layers(Settings())
    assert hidden[:2] == [(), (1,)]
    assert len(hidden) == len(set(hidden)) == 8 + 3  # depths 0 and 1 are widths 0 and 30
    for layers, number in (((), 7850), ((16, 16), 13_002), ((30,), 23_860)):
        assert network(layers, (0.9,)).num_parameters == number
        shapes = jax.eval_shape(mlp((784, *layers, 10)).init, jax.random.key(0))
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == number


def test_every_network_is_trained_with_every_rate_as_by_plain_descent(ran):
    run, _ = ran("hidden_neurons")
    settings, (train, test) = run.settings, posing.load(run.settings)
    train, per_epoch = train._replace(inputs=train.inputs / 255), len(train.inputs) // settings.batch_size
    order = plain.shuffles(settings, len(train.inputs), settings.num_epochs)
    schedules = descents.in_batches(order, settings.batch_size)
    assert [network.name for network in run.result.networks] == ["784-10", "784-3-10", "784-3-3-10"]
    assert run.result.own == 1
    for sizes, trained, norms in run.result.networks:
        starts, _ = plain.starts_and_keys(settings.seed, settings.num_seeds, tuple(sizes.tolist()))
        slopes = [[np.linalg.norm(plain.flat([layer])) for layer in plain.gradient(start, train)] for start in starts]
        np.testing.assert_allclose(norms, slopes, rtol=1e-4)
        passed = [
            [plain.descend(start, train, steps, rate)[per_epoch::per_epoch] for rate in settings.learning_rates]
            for start, steps in zip(starts, schedules, strict=True)
        ]  # seeds, rates, epochs
        costs_of = np.median([[plain.costs(looks[-1], train).mean() for looks in rates] for rates in passed], axis=0)
        np.testing.assert_allclose(trained.tuned.costs, costs_of, rtol=1e-4)
        best = costs_of.argmin()
        assert trained.rate == trained.tuned.best == settings.learning_rates[best]
        right = [plain.accuracy(rates[best][-1], train) for rates in passed]
        np.testing.assert_allclose(trained.train_accuracy, right, atol=0.0034)  # two of 600
        right = [[plain.accuracy(params, test) for params in rates[best]] for rates in passed]
        np.testing.assert_allclose(trained.test_accuracy, right, atol=0.011)  # two of 200


def test_a_rate_with_which_most_seeds_diverge_is_not_chosen_for_those_that_do_not():
    """C = theta^2 from theta = 1, 1, 0: with the rate 1e30 only the last, which lies at the bottom, has a cost."""
    examples = Examples(jnp.zeros((4, 1)), jnp.zeros((4, 1)))
    model = Model(lambda start: start, lambda theta, pixels: theta + 0 * pixels)
    problem = Problem(model, costs.sum_of_squares, examples, examples, (1, 1, 1))
    starts, rows = np.array([1.0, 1.0, 0.0], np.float32), np.zeros((3, 1, 5, 2), np.int32)
    found = descents.train("a parabola", problem, (0.1, 1e30), starts, rows)
    assert found.rate == 0.1
    np.testing.assert_allclose(found.tuned.costs, [0.8**10, np.inf], rtol=1e-5)  # a step leaves 1 - 2 * 0.1
    with pytest.raises(runs.Diverged, match="a parabola, every learning rate of the grid"):
        descents.train("a parabola", problem, (1e30,), starts, rows)


def network(hidden, test_accuracy, first=1.0, rate=2.0):
    """Accuracies and, of the first layer's gradient, lengths of every seed; the other layers' are far longer."""
    sizes, accuracy = np.array((784, *hidden, 10)), np.array(test_accuracy)
    rates = np.array([0.5, 2.0, 32.0])
    tuned = Tuned(rates, np.where(rates == rate, 0.1, 0.2))
    looks = np.stack([np.full(len(accuracy), 0.1), accuracy], axis=1)
    norms = np.full((len(accuracy), len(sizes) - 1), 50.0)
    norms[:, 0] = first
    return Network(sizes, Trained(rate, tuned, accuracy, looks), norms)


GOOD = {(): (0.85, 0.915, 0.95), (2,): (0.5, 0.6, 0.55), (16,): (0.93, 0.94, 0.7), (30,): (0.8, 0.95, 0.99),
        (30, 30): (0.9, 0.955, 0.99), (30, 30, 30): (0.9, 0.94, 0.99)}  # fmt: skip
FULL = dataclasses.replace(hidden_neurons.FULL, num_seeds=3)


def made_up(ends=None, shrink=0.235):
    """Three seeds; in the median one two more layers let the square of `shrink` through."""
    networks = []
    for hidden, accuracy in (GOOD | (ends or {})).items():
        let_through = 2 * shrink ** max(0, len(hidden) - 1) * np.array([9.0, 1.0, 0.2]) ** (len(hidden) > 1)
        networks.append(network(hidden, accuracy, let_through))
    return Result(tuple(networks), 0)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []),
     *[({"ends": {(): (0.85, end, 0.95)}}, failing)
       for end, failing in ((0.906, []), (0.904, [0]), (0.924, []), (0.926, [0]))],
     ({"ends": {(30, 30): (0.9, 0.9595, 0.99)}}, []), ({"ends": {(30, 30): (0.9, 0.9605, 0.99)}}, [1]),
     ({"shrink": 0.17}, []), ({"shrink": 0.16}, [2]), ({"shrink": 0.32}, []), ({"shrink": 0.33}, [2])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, failing):
    claims = list(hidden_neurons.claims(made_up(**changes), FULL))
    assert [index for index, claim in enumerate(claims) if not claim.holds] == failing


def test_further_layers_are_those_of_the_depths_not_the_films():
    shallow = [network(hidden, GOOD[hidden]) for hidden in GOOD if len(hidden) < 2]
    result = Result((*shallow, network((16, 16), (0.9, 0.95, 0.99))), 0)
    assert [claim.id for claim in hidden_neurons.claims(result, FULL)] == ["C15"]


def test_nothing_is_claimed_of_other_data_and_of_a_short_training_less():
    assert list(hidden_neurons.claims(made_up(), dataclasses.replace(FULL, dataset="kmnist"))) == []
    assert len(list(hidden_neurons.claims(made_up(), dataclasses.replace(FULL, num_epochs=3)))) == 1


def test_the_finding_names_the_least_width_that_is_nearly_as_good():
    ends = {(): (0.9,), (2,): (0.1, 0.93, 0.94), (16,): (0.99, 0.945, 0.94), (100,): (0.99, 0.94, 0.9),
            (30, 30): (0.1, 0.96, 0.97)}  # fmt: skip
    found = Result(tuple(network(hidden, end) for hidden, end in ends.items()), 0)
    settings = dataclasses.replace(hidden_neurons.FULL, widths=(0, 2, 16, 100))  # the widest is not the best
    sentence = hidden_neurons.finding(found, settings)
    assert sentence.endswith("at the best of 5 rates; the best network of this sweep is 784-30-30-10, 96.0 %.")
    assert sentence.startswith("A hidden layer of 2 comes within 2 points of the best one, 16: 93.0 % against 94.5 %")
    assert "of the test images after 10 epochs, each at" in sentence
    assert not network((), (0.9,), rate=32.0).trained.tuned.is_inside
