"""Who disagrees: tallies against a loop, the chance of a dispute, names of weights, and the claims."""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEAN, make_params
from jax.flatten_util import ravel_pytree

from experiments.all_examples import average_of_nudges_figures, disputes, disputes_figures
from experiments.all_examples.disputes import Result, Settings
from experiments.common import wish_tables

SMALLEST = Settings(num_seeds=2, learning_rate=0.5, num_examples=200, layer_sizes=(784, 3, 10))
NUMBERS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def rows_of(wishes):
    """Which parameters they are of, as their names say: ... w₁₂."""
    return [int(name.rpartition("w")[2].translate(NUMBERS)) for name in wishes.names]


def assert_they_are_the_wishes_of(network, found, train, columns):
    """Of a plain network."""
    wanted = -plain.flat(plain.gradients(network, train), leading=1)[:, rows_of(found)].T
    np.testing.assert_array_equal(found.labels, train.targets[columns].argmax(axis=1))
    np.testing.assert_allclose(found.wanted, wanted[:, columns], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.minus_gradient, wanted.mean(axis=1), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.more, (wanted > 0).mean(axis=1), atol=0.006)  # one of 200
    np.testing.assert_allclose(found.less, (wanted < 0).mean(axis=1), atol=0.006)


def test_who_disagrees_is_what_a_plain_network_says_untrained_and_trained(ran):
    result, settings = ran("disputes")[0].result, ran("disputes")[0].settings
    train, networks = plain.untrained_and_trained(settings)
    labels = train.targets.argmax(axis=1)
    first_four = np.concatenate([np.flatnonzero(labels == label)[:4] for label in range(10)])
    for found, network in ((result.before, networks[0]), (result.after, networks[settings.num_seeds])):
        assert_they_are_the_wishes_of(network, found, train, first_four)
    assert (result.before.names == result.after.names).all()
    for network, share, silent in zip(networks, result.share, result.silent, strict=True):
        wanted = plain.flat(plain.gradients(network, train), leading=1)
        more, less = (wanted > 0).any(axis=0), (wanted < 0).any(axis=0)
        assert share == pytest.approx((more & less).sum() / (more | less).sum(), rel=1e-5)
        assert silent == (~(more | less)).sum()
    assert (result.num_black, result.num_examples) == ((~train.inputs.any(axis=0)).sum(), len(labels))


def test_with_two_classes_the_untrained_always_disagree_and_with_one_never():
    # two labels: w1 - (w1 + w2)/2 and w2 - (w1 + w2)/2 are each other's opposite; one label: w1 - w1/2 is one number
    assert disputes.chance_of_dispute(2) == 1.0
    assert disputes.chance_of_dispute(1) == 0.0


def test_every_parameter_is_named_by_its_place():
    params = make_params(jax.random.key(0), (3, 2, 2))
    numbered = ravel_pytree(params)[1](jnp.arange(14.0))
    name = lambda number: wish_tables.parameter_name(int(number), (3, 2, 2)).partition("   ")[0]
    assert name(numbered[0].weights[1, 2]) == "pixel 2 to neuron 1 of layer 1"
    assert name(numbered[0].biases[1]) == "bias of neuron 1 of layer 1"
    assert name(numbered[1].weights[0, 1]) == "neuron 1 to output 0"
    assert name(numbered[1].biases[0]) == "bias of output 0"
    assert len({name(index) for index in range(14)}) == 14


def test_the_table_shows_the_first_the_last_and_the_loudest_of_every_layer():
    mean_square = np.zeros(14)
    mean_square[[4, 7, 9, 12]] = 1.0  # a weight and a bias of each of the two layers of 3-2-2
    assert average_of_nudges_figures.table_rows(mean_square, (3, 2, 2)).tolist() == [0, 4, 7, 9, 12, 13]
    assert set(disputes_figures.heat_map_rows(mean_square, (3, 2, 2), seed=0).tolist()) == {4, 7, 9, 12}


def made_up(untrained=0.74, trained=0.97, silent=0.0):
    """Three seeds whose mean shares are these; of the last untrained network so many more weights are silent."""
    share = np.concatenate([untrained + 0.05 * SAME_MEAN, trained + 0.01 * SAME_MEAN])
    return Result(share, 67 * 16.0 + np.append(silent * LAST_OFF, np.full(3, 50)), 67, None, None, 60_000)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"untrained": 0.56}, []), ({"untrained": 0.54}, [0]), ({"untrained": 0.92}, []),
     ({"untrained": 0.94}, [0]), ({"trained": 0.951}, []), ({"trained": 0.949}, [1]), ({"silent": 1.0}, [2])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, failing):
    found = list(disputes.claims(made_up(**changes), Settings(num_seeds=3)))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_means_and_ranges():
    said = disputes.finding(made_up(), Settings(num_seeds=3))
    assert "the examples pull 74 % both ways before training (mean; 64 to 79 %) and 97.0 % after" in said
    assert said.endswith("(95.0 to 98.0 %).")
