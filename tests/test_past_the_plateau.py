"""past_the_plateau: its smallest run; the laws of the race, and its claims, stand in test_race.py."""

from functools import partial
from unittest import mock

import plain
from test_race import begin_by_hand, is_the_race_by_hand

from experiments.mini_batches import past_the_plateau as experiment

SMALLEST = experiment.Settings(
    num_seeds=2, num_examples=64, batch_sizes=(8, 16, 32), learning_rates=(0.2, 0.4, 0.8), target=0.2, past=0.7,
    max_steps=256, layer_sizes=(784, 10),
)  # fmt: skip
AROUND = partial(mock.patch.object, experiment, "RATE", 0.4)  # so small a network is led astray by longer steps


def test_it_is_the_race_from_where_plain_descent_first_costs_as_little_as_asked(ran):
    run, _ = ran("past_the_plateau")
    train, starts, orders = begin_by_hand(run.settings)
    past = []
    for params in starts:
        while plain.costs(params, train).mean() > run.settings.past:
            params = plain.step(params, train, 0.4)
        past.append(params)
    is_the_race_by_hand(run.result, run.settings, train, past, orders)
