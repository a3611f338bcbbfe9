"""The convolutional network against the film's: how rates are chosen; Results on which claims must hold, or fail."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import SAME_MEDIAN, make_examples

from experiments.common import two_networks
from experiments.common.problem import Problem
from experiments.common.tune import Tuned
from experiments.networks import conv_net
from experiments.networks.conv_net import Network, Result, Settings
from research import costs, models

SMALLEST = Settings(num_epochs=1, tuning_epochs=3, plain_learning_rates=(1e-6, 0.5, 1e30))


def test_the_rate_of_two_starts_is_that_of_the_lowest_geometric_mean():
    examples = make_examples(jax.random.key(0), 20)
    posed = Problem(models.mlp((12, 4), output_activation=lambda z: z), costs.softmax_cross_entropy, examples, examples,
                    (3, 4, 1))  # fmt: skip
    starts = jax.vmap(posed.model.init)(jax.random.split(jax.random.key(1), 2))
    order = np.tile(np.arange(20), (2, 1, 1))
    ends = conv_net.end_costs("plain", posed, dataclasses.replace(SMALLEST, batch_size=4), starts, order)
    slope, by_hand = jax.jit(jax.grad(posed.cost)), []
    for seed in range(2):
        params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], starts)
        for step, rate in enumerate((0.5, 0.5, 0.5, 0.25, 0.0)):  # of 5 steps 2 are the half; one more starts to fall
            batch = jax.tree.map(lambda leaf, step=step: leaf[4 * step : 4 * step + 4], examples)
            slopes = slope(params, batch)
            params = jax.tree.map(lambda p, g, rate=rate: p - rate * g, params, slopes)
        by_hand.append(float(posed.cost(params, examples)))
    assert ends(0.5) == pytest.approx(np.sqrt(by_hand[0] * by_hand[1]), rel=1e-5)


def test_rates_are_chosen_on_starts_that_are_not_counted(monkeypatch):
    examples = make_examples(jax.random.key(0), 20)
    posed = Problem(models.mlp((12, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1))
    tried, counted = [], []

    def end_costs(name, posed, settings, starts, order):
        tried.append((starts, order))
        return lambda rate: np.ones(2)

    def train(name, posed, settings, rate, starts, order):
        counted.append((starts, order))
        return two_networks.Trained(np.ones(1), np.ones((3, 1)), np.ones((3, 1, 52)), starts, 1.0)

    monkeypatch.setattr(two_networks, "pose", lambda problem, settings: (posed, posed))
    monkeypatch.setattr(two_networks, "train", train)
    monkeypatch.setattr(conv_net, "end_costs", end_costs)
    conv_net.measure(posed, dataclasses.replace(SMALLEST, num_seeds=3, learning_rates=(0.1, 0.2)))
    for those, these in zip(tried, counted, strict=True):
        assert [len(leaf) for leaf in jax.tree.leaves(those)] == [conv_net.TUNING_SEEDS] * 3
        assert [len(leaf) for leaf in jax.tree.leaves(these)] == [3] * 3
        weights = np.concatenate([those[0][0].weights, these[0][0].weights])
        assert len(np.unique(weights, axis=0)) == 5


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
