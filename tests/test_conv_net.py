"""The convolutional network against the film's: how rates are chosen; Results on which claims must hold, or fail."""

import dataclasses

import jax
import numpy as np
import plain
import pytest
from helpers import SAME_MEDIAN, make_examples

from experiments.common import descents, two_networks
from experiments.common.problem import Problem
from experiments.common.tune import Tuned
from experiments.networks import conv_net
from experiments.networks.conv_net import Network, Result, Settings
from research import costs, models

SMALLEST = Settings(num_epochs=1, tuning_epochs=3, plain_learning_rates=(1e-6, 0.5, 1e30))


def entropy(params, examples):
    outputs = plain.activations(params, examples.inputs)[-1]
    odds = outputs / (1 - outputs)
    return -np.log(np.sum(odds * examples.targets, axis=1) / odds.sum(axis=1)).mean()


def fallen(params, train, rows, rate):
    """The parameters before the first step and after every one; in the second half of them the rate falls to zero."""
    return plain.descend(params, train, rows, plain.falling(rate, len(rows)), of_outputs=plain.of_softmax)


def test_the_plain_network_is_tuned_and_trained_as_by_numpy(ran):
    run, _ = ran("conv_net")
    conv, found, settings = run.result.conv, run.result.plain, dataclasses.replace(run.settings, num_seeds=4)
    train, test, starts, _ = plain.begin(settings)  # the last two are for tuning
    rows = plain.shuffles(settings, 600, 3).reshape(4, 36, 50)
    ends = [[fallen(starts[seed], train, rows[seed], rate)[-1] for seed in (2, 3)] for rate in (1e-6, 0.5)]
    wanted = [np.sqrt(entropy(one, train) * entropy(other, train)) for one, other in ends]
    np.testing.assert_allclose(found.tuned.costs[:2], wanted, rtol=1e-4)
    assert found.tuned.costs[2] > 1e6
    assert (found.rate, found.num_parameters) == (0.5, 13_002)
    assert (conv.rate, conv.num_parameters, conv.tuned) == (0.4, 5994, None)
    for seed in (0, 1):
        places = fallen(starts[seed], train, rows[seed, :10], 0.5)[2::2]
        right = [plain.accuracy(params, test) for params in places]
        np.testing.assert_allclose(found.accuracy[seed], right, atol=0.011)  # two of 200


def test_rates_are_chosen_on_starts_that_are_not_counted_and_filters_are_those_of_the_first_seed(monkeypatch):
    examples, tried, counted = make_examples(jax.random.key(0), 20), [], []
    posed = Problem(models.mlp((12, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))

    def end_costs(name, posed, settings, starts, order):
        tried.append((starts.tolist(), order.tolist()))
        return lambda rate: np.ones(2)

    def train(name, posed, settings, rate, starts, order):
        counted.append((starts.tolist(), order.tolist()))
        end = {"kernel": np.arange(600.0).reshape(3, 5, 5, 2, 4) + 1000 * len(counted), "biases": np.zeros((3, 4))}
        return two_networks.Trained(np.ones(1), np.ones((3, 1)), np.ones((3, 1, 52)), end, 1.0)

    monkeypatch.setattr(two_networks, "pose", lambda problem, settings: (posed, posed))
    monkeypatch.setattr(two_networks, "train", train)
    monkeypatch.setattr(conv_net, "end_costs", end_costs)
    monkeypatch.setattr(descents, "starts", lambda posed, keys: np.arange(len(keys)))
    monkeypatch.setattr(descents, "shuffles", lambda keys, *lengths: np.arange(len(keys)))
    result = conv_net.measure(posed, dataclasses.replace(SMALLEST, num_seeds=3, learning_rates=(0.1, 0.2)))
    assert (tried, counted) == ([([3, 4], [3, 4])] * 2, [([0, 1, 2], [0, 1, 2])] * 2)
    np.testing.assert_array_equal(result.filters, 1000 + np.arange(0.0, 200, 8).reshape(5, 5, 1) + np.arange(4))


def test_looks_are_at_their_share_of_the_epochs(ran):
    """Of the 12 batches of 50 that 600 images make, five equal legs take ten."""
    run, _ = ran("conv_net")
    for network in (run.result.conv, run.result.plain):
        np.testing.assert_allclose(network.epochs, np.arange(2, 11, 2) / 12)


def test_for_a_cost_or_a_model_of_ones_own_the_learning_rates_are_searched_for():
    own = dataclasses.replace(Settings(), cost="research.costs:huber")
    assert conv_net.grids(own) == [conv_net.COARSE] * 2
    assert conv_net.grids(Settings(model="my_nets:net")) == [conv_net.COARSE] * 2
    assert conv_net.grids(Settings()) == conv_net.grids(Settings(cost="softmax_cross_entropy")) == [(0.4,), (3.2,)]
    assert {len(grid) for grid in conv_net.grids(conv_net.FULL)} == {5}


def found(conv=0.99, ahead=0.0005, best=2, plain_best=2):
    """Three seeds of both networks, of which `conv` is the median; the last one is so far ahead of the plain one, the
    others farther. The best rate is number `best` of five."""
    right = conv + 0.001 * SAME_MEDIAN[::-1]
    plain = right - np.array([0.04, 0.03, ahead])
    networks = [
        Network(10, 0.4, Tuned(np.arange(1.0, 6), np.abs(np.arange(5) - number) + 1.0), np.ones(2),
                np.stack([np.full(3, 0.5), ends], axis=1), 1.0)
        for ends, number in ((right, best), (plain, plain_best))
    ]  # fmt: skip
    return Result(*networks, np.zeros((0, 0, 0)))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"conv": 0.9855}, []), ({"conv": 0.9845}, [0]), ({"ahead": -0.0005}, [1]), ({"best": 4}, [2]),
     ({"best": 0}, [2]), ({"plain_best": 4}, [2])],
)  # fmt: skip
def test_the_claims_hold_on_a_good_result_and_fail_on_others(changes, failing):
    claims = list(conv_net.claims(found(**changes), conv_net.FULL))
    assert [index for index, claim in enumerate(claims) if not claim.holds] == failing


def test_nothing_is_claimed_of_other_data_and_of_rates_that_were_not_chosen():
    assert list(conv_net.claims(found(), dataclasses.replace(conv_net.FULL, dataset="kmnist"))) == []
    assert len(list(conv_net.claims(found(), Settings()))) == 2
    assert len(list(conv_net.claims(found(), dataclasses.replace(conv_net.FULL, plain_learning_rates=(3.2,))))) == 2


def test_the_finding_is_of_the_medians():
    said = conv_net.finding(found(), conv_net.FULL)
    assert said.endswith("8 epochs: convolutional network 99.00 %, 10 parameters; plain one 96.00 %, 10 parameters.")
    assert "1 epoch: network of --model 99" in conv_net.finding(found(), Settings(num_epochs=1, model="my:net"))
