"""How much data: schedules in which all are seen alike, Nielsen's weight decay, and the claims."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import SAME_MEAN

from experiments.common import descents, teaching
from experiments.common.bounds import SettingsError
from experiments.common.problem import Problem
from experiments.labels import data_need
from experiments.labels.data_need import FULL, NIELSENS, SIZES, Result, Settings
from research import costs, models
from research.data import Examples
from research.models import Layer

SMALLEST = Settings(
    num_seeds=2, sizes=(20, 200, 5000), num_steps=20, films_steps=10, layer_sizes=(784, 10)
)  # 5,000 are more than there are


def test_every_chosen_example_is_seen_equally_often():
    rows = teaching.rows_of(np.random.default_rng(1), np.array([5, 8, 13, 21]), 6)
    assert rows.shape == (6, 10)
    assert np.unique(rows, return_counts=True)[1].tolist() == [15, 15, 15, 15]


def test_nielsens_weights_decay_and_his_biases_do_not(monkeypatch):
    rng, train = np.random.default_rng(5), Examples(np.zeros((20, 6)), np.zeros((20, 3)))
    shapes = [((30, 6), (30,)), ((3, 30), (3,))]
    params: Any = [Layer(*(rng.normal(size=shape).astype(np.float32) for shape in each)) for each in shapes]
    monkeypatch.setattr(descents, "starts", lambda *_: params)
    problem = Problem(models.mlp((6, 3)), costs.sum_of_squares, train, train, (2, 3, 1))
    optimizer = teaching.nielsens(problem, jax.random.key(0)).method.optimizer
    zero = jax.tree.map(np.zeros_like, params)
    updates = jax.jit(lambda params: optimizer.update(zero, optimizer.init(params), params)[0])(params)
    for update, layer in zip(updates, params, strict=True):
        np.testing.assert_allclose(update.weights, -0.5e-4 * layer.weights, rtol=1e-6)
        assert not np.asarray(update.biases).any()


def test_the_second_recipe_is_named_by_its_sizes_and_its_cost(monkeypatch):
    train = Examples(np.zeros((5, 6)), np.zeros((5, 3)))
    starts = [Layer(np.zeros((2, 4, 6)), np.zeros((2, 4))), Layer(np.zeros((2, 3, 4)), np.zeros((2, 3)))]
    monkeypatch.setattr(descents, "starts", lambda *_: starts)
    problem = Problem(models.mlp((6, 4, 3)), costs.absolute, train, train, (2, 3, 1))
    keys = jax.random.key(0)
    assert teaching.films(problem._replace(mlp=models.mlp), keys).method.label == "6-4-3, absolute"
    assert teaching.films(problem, keys).method.label == "your network, absolute"  # of --model


def test_more_than_the_data_set_is_refused():
    train = Examples(jnp.zeros((50, 6)), jnp.zeros((50, 3)))
    problem = Problem(models.mlp((6, 3)), costs.sum_of_squares, train, train, (2, 3, 1))
    with pytest.raises(SettingsError, match="so give two or more sizes of at most 50"):
        data_need.measure(problem, dataclasses.replace(SMALLEST, sizes=(20, 51)))


def test_every_accuracy_is_that_of_plain_descent_on_so_many_images(ran):
    run, _ = ran("data_need")
    settings, (train, test, starts, _) = run.settings, plain.begin(run.settings)
    nielsens = partial(plain.descend, rate=0.5, decay=1e-4, of_outputs=plain.of_cross_entropy)
    normal = plain.normal_starts(settings, (784, 30, 10))
    recipes = (normal, nielsens, settings.num_steps), (starts, partial(plain.descend, rate=1.5), settings.films_steps)
    for (starts, descend, num_steps), found in zip(recipes, run.result.accuracy, strict=True):
        rngs = [np.random.default_rng([settings.seed, index]) for index in range(settings.num_seeds)]
        orders = [rng.permutation(600) for rng in rngs]
        for size, accuracies in zip((20, 200), found, strict=True):
            for start, rng, order, accuracy in zip(starts, rngs, orders, accuracies, strict=True):
                end = descend(start, train, teaching.rows_of(rng, order[:size], num_steps))[-1]
                assert accuracy == pytest.approx(100 * plain.accuracy(end, test), abs=1.1)  # two of 200


def made_up(off=0.0, dip=0.0, bend=0.0):
    """The means of three seeds are Nielsen's nine numbers, shifted, and with errors that fall by so much faster; the
    film's network likewise, with a dip in the middle, where the median of the seeds has one too."""
    mean = 100 - (100 - np.array(NIELSENS)) * (np.array(SIZES) / 300) ** -bend + off
    both = np.stack([mean, mean - np.where(np.arange(9) == 4, dip, 0)])
    apart = np.where(np.arange(9) == 4, -3, 0.5)
    return Result(np.array(SIZES), both[..., None] + apart[:, None] * SAME_MEAN, ("a", "b"), 10_000)


def at(size, off):
    return np.where(np.array(SIZES) == size, off, 0.0)


RISE = NIELSENS[4] - NIELSENS[3]


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"dip": RISE - 0.05}, []), ({"dip": RISE + 0.05}, [1]), ({"off": at(1000, 1.9)}, []),
     ({"off": at(1000, 2.1)}, [2]), ({"off": at(2000, -1.9)}, []), ({"off": at(2000, -2.1)}, [2]),
     ({"off": at(200, 4.9)}, []), ({"off": at(200, 5.1)}, [3]), ({"off": at(200, -5.1)}, [3]),
     ({"bend": 0.047}, []), ({"bend": 0.053}, [4]), ({"bend": -0.047}, [0, 1]), ({"bend": -0.053}, [0, 1, 4]),
     ({"off": -5.1}, [2, 3, 4, 5])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, failing):
    found = list(data_need.claims(made_up(**changes), FULL))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_gives_the_law_of_the_mean_errors():
    sizes = np.array(SIZES)
    accuracy = 100 - np.stack([2 + 300 * sizes**-0.5, 1 + 100 * sizes**-0.4])[..., None] + 0.1 * SAME_MEAN
    said = data_need.finding(Result(sizes, accuracy, ("a", "b"), 10_000), FULL)
    assert "100 images give a 68.0 % right answers, 50,000 give 96.7 %; b 83.2 % and 97.7 % (means;" in said
    assert "The errors are about 2.0 % + 300 % N^-0.50 and 1.0 % + 100 % N^-0.40." in said


def test_where_all_answers_are_right_half_an_image_counts_as_wrong():
    accuracy = np.broadcast_to([[75.0], [100.0]], (2, 2, 3))  # of two sizes a law meets both errors
    for floor, height, exponent in data_need.laws(Result(np.array([10, 1000]), accuracy, ("a", "b"), 200)):
        np.testing.assert_allclose(floor + height / np.array([10, 1000]) ** exponent, [25, 100 * 0.5 / 200])


def test_his_numbers_are_asked_for_only_with_as_many_steps():
    assert len(list(data_need.claims(made_up(), dataclasses.replace(FULL, num_steps=1000)))) == 2
