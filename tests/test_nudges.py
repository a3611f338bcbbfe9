"""Results on which the claims must hold and must fail, and what does not exist."""

import dataclasses
from functools import partial

import jax
import numpy as np
import plain
import pytest
from helpers import SAME_MEAN

from experiments.common import posing
from experiments.common.bounds import SettingsError
from experiments.common.wishes import Checks, Numbers
from experiments.one_example import nudges
from experiments.one_example.nudges import LayerStory, Network, Result, Settings

SMALLEST = Settings(num_seeds=2, epochs=1, layer_sizes=(784, 3, 10))
PERFECT = {"brightness": 1.0, "strongest": 1.0, "wanted": 1.0, "unwanted": 1.0, "nudge_signs": 1.0}


def made_up(films=True, untrained=0.5, **changed):
    """Two classes, where half of the outputs should fall; a network of one layer with two pixels. What is changed is so
    for the last of the digits in the last of the starts; the mean of the starts is right as often as `untrained`."""
    checks = {name: np.full((1, 2, 2), PERFECT.get(name, 0.0)) for name in Checks._fields}
    for name, number in changed.items():
        checks[name][-1, -1, -1] = number
    one, two = np.ones((2, 2)), np.ones(2)
    network = Network("start", "before any training", one, (LayerStory(one, two, one, Numbers(*[one] * 5)),))
    right = untrained + 0.05 * SAME_MEAN
    return Result(Checks(**checks), right, np.arange(2), one, np.eye(2), 0, (network,), (1, 2, 1), 2, films)


def test_below_zero_the_brightest_need_not_be_strengthened_most():
    result = made_up(strongest=0.5)
    (layer,) = result.networks[0].layers
    dark = layer._replace(numbers=layer.numbers._replace(activations=np.array([[1, -1]])))
    dark = result.networks[0]._replace(layers=(dark, layer))
    assert failing(result._replace(networks=(dark,))) == []


def check_told(network, params, train, rows):
    """Holds what is told of the digits in one network against the plain way back through it."""
    digits, close = plain.rows(train, rows), partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    backwards, reached = plain.errors(params, digits), plain.activations(params, digits.inputs)
    close(network.pixel_nudges, -backwards[0][0] @ params[0].weights)
    averages = plain.gradient(params, train)
    each = zip(network.layers, params, backwards, reached[1:], averages, strict=True)
    for story, layer, (error, before), after, average in each:
        slope = after * (1 - after)
        close(story.weights, layer.weights)
        close(story.biases, layer.biases)
        close(story.average_weights, -average.weights)
        wanted = Numbers(before @ layer.weights.T + layer.biases, after, slope, -error / slope, -error)
        for field, told in story.numbers._asdict().items():
            close(told, getattr(wanted, field), err_msg=field)


def test_what_is_told_is_of_the_first_two_images_of_each_digit_in_the_first_seeds_networks(ran):
    run, _ = ran("nudges")
    result, settings = run.result, run.settings
    train, test, starts, _ = plain.begin(dataclasses.replace(settings, num_seeds=nudges.UNTRAINED))
    rows = np.concatenate([np.flatnonzero(train.targets[:, digit])[:2] for digit in range(10)])
    np.testing.assert_array_equal(result.rows, rows)
    np.testing.assert_array_equal(result.inputs, train.inputs[rows])
    assert (result.chosen, result.num_train) == (4, 600)
    batches = plain.shuffles(settings, 600, settings.epochs)[0].reshape(-1, nudges.BATCH_SIZE)
    ends = plain.descend(starts[0], train, batches, nudges.LEARNING_RATE)
    for network, params in zip(result.networks, (ends[0], ends[-1]), strict=True):
        check_told(network, params, train, rows)
    np.testing.assert_allclose(result.untrained, [plain.accuracy(start, test) for start in starts], atol=0.006)


def failing(result):
    return [claim.id for claim in nudges.claims(result, SMALLEST) if not claim.holds]


def test_the_claims_hold_on_a_perfect_result():
    assert failing(made_up()) == []
    assert len(list(nudges.claims(made_up(), SMALLEST))) == 10
    assert len(list(nudges.claims(made_up(films=False), SMALLEST))) == 6


@pytest.mark.parametrize(
    ("changed", "ids"),
    [({"untrained": 0.36}, []), ({"untrained": 0.34}, ["T14"]), ({"untrained": 0.64}, []),
     ({"untrained": 0.66}, ["T14"]),
     ({"by_hand": 9.5e-6, "column_sum": 9.5e-7, "nudges": 9.5e-6, "proportional": 9.5e-7}, []),
     ({"by_hand": 1.05e-5}, ["T7"]), ({"brightness": 0.9}, ["T19"]), ({"strongest": 0.5}, ["T22"]),
     ({"column_sum": 1.05e-6}, ["T25"]), ({"nudges": 1.05e-5}, ["T26"]), ({"nudge_signs": 0.5}, ["T16"]),
     ({"proportional": 1.05e-6}, ["T17"]), ({"wanted": 0.9}, ["T24"]),
     ({"unwanted": 0.9}, ["C1"]), ({"by_hand": np.nan}, ["T7"])],
)  # fmt: skip
def test_each_claim_fails_where_it_should(changed, ids):
    assert failing(made_up(**changed)) == ids


def test_the_finding_is_of_the_median_digit(monkeypatch):
    monkeypatch.setattr(nudges, "along_hebb", lambda result, network: [0.9, 0.1, 0.2])
    assert "by 0.20 before any training (first seed, median of 2 digits)" in nudges.finding(made_up(), SMALLEST)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"index": 50, "num_examples": 50}, "--index is 50; .* has 50 train images, so give at most 49"),
        ({"layer": 3}, "--layer is 3; it must be between 1, the first hidden layer, and 2, the outputs"),
        ({"num_examples": 100}, "--epochs is 1, but there are only 100 training examples"),
        ({"output_activation": "softmax"}, "one digit is followed by hand, which needs plain layers"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_sentence(small_mnist, changes, sentence):
    settings = dataclasses.replace(SMALLEST, dataset=str(small_mnist), **changes)
    with pytest.raises(SettingsError, match=sentence):
        nudges.measure(posing.pose(settings), settings)


def test_relu_and_cross_entropy_without_hidden_layers_have_their_figures_and_claims(small_mnist):
    settings = Settings(
        num_seeds=2, epochs=0, dataset=str(small_mnist), num_examples=200, index=7, layer_sizes=(784, 10),
        cost="sigmoid_cross_entropy", output_activation="identity",
    )  # fmt: skip
    result = jax.device_get(nudges.measure(posing.pose(settings), settings))
    claims = list(nudges.claims(result, settings))
    assert result.rows[result.chosen] == 7
    assert [claim.says for claim in claims if not claim.holds and claim.id != "T14"] == []
    assert not {claim.id for claim in claims} & {"T16", "T17", "T24", "C1"}
    assert set(nudges.figures(result, settings)) == {"nudges", "columns", "pixels_and_weights", "nudges.html"}
