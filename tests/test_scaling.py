"""The all-reduces against messages that are really sent, and Results on which the claims must hold, and fail."""

import jax
import numpy as np
import plain
import pytest
from helpers import make_examples

from experiments.common import on_paper, shared_works
from experiments.common.on_paper import Net
from experiments.common.problem import Problem
from experiments.common.shared_works import BATCHES, REDUCES, RUNS, WHOLE, WORKS
from experiments.networks import scaling
from experiments.networks.scaling import Result, Settings
from research import costs, models

SMALLEST = Settings(rounds=1, processes=(1,), num_examples=200)


def by_ring(numbers):
    """(what every device has in the end, how many messages one after the other, floats in each): row d is device d's,
    cut into as many parts as there are devices; each sends one part to the next one, all at once."""
    count, parts = len(numbers), np.array(numbers).reshape(len(numbers), len(numbers), -1)
    for step in range(2 * (count - 1)):
        before = parts.copy()
        for sender in range(count):
            part, receiver = (sender - step) % count, (sender + 1) % count
            adds = step < count - 1
            parts[receiver, part] = before[sender, part] + (before[receiver, part] if adds else 0)
    return parts.reshape(count, -1), 2 * (count - 1), parts.shape[-1]


def by_doubling(numbers):
    """The same where partners 1, 2, 4, ... apart exchange all that they have."""
    have, messages = np.array(numbers), 0
    while 2**messages < len(have):
        have, messages = have + have[np.arange(len(have)) ^ 2**messages], messages + 1
    return have, messages, have.shape[-1]


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize(("latency", "bandwidth"), [(0.0, 3.0), (1.0, 1e12), (0.5, 700.0)])
def test_an_all_reduce_takes_the_messages_of_the_quicker_way(count, latency, bandwidth):
    numbers = np.random.default_rng(0).integers(0, 9, (count, 16)).astype(float)
    seconds = []
    for way in (by_ring, by_doubling):
        found, messages, floats = way(numbers)
        np.testing.assert_array_equal(found, np.tile(numbers.sum(axis=0), (count, 1)))
        seconds.append(messages * (latency + 4 * floats / bandwidth))
    assert on_paper.all_reduce(Net(count, 1.0, bandwidth, latency), 16) == pytest.approx(min(seconds), rel=1e-12)


@pytest.mark.parametrize("net", Settings().nets.values(), ids=str)
@pytest.mark.parametrize("size", [13_002, 10**8])
def test_a_step_gains_above_the_least_batch_and_as_often_as_there_are_devices_in_the_end(net, size):
    least = on_paper.least_batch(net, size)
    below, at, above, far = on_paper.gain(net, size, least * np.array([0.5, 1, 2, 1e9]))
    assert below < 1 < above
    assert at == pytest.approx(1)
    assert far == pytest.approx(net.devices, rel=1e-3)


def test_two_devices_do_a_run_each_or_share_the_batches_of_one():
    examples, model = make_examples(jax.random.key(1), 9), models.mlp((12, 4))
    problem = Problem(model, costs.sum_of_squares, examples, examples, (3, 4, 1), (jax.nn.sigmoid, jax.nn.sigmoid))
    settings = Settings(batch_size=4, seed=3)
    found = [plain.flat(work(), leading=1) for work in shared_works.works_on(problem, settings, jax.devices())]
    starts = jax.device_get(jax.vmap(model.init)(jax.random.split(jax.random.key(3), 2)))
    first, second = (jax.tree.map(lambda leaf, seed=seed: leaf[seed], starts) for seed in range(2))
    rows = np.random.default_rng(3).permutation(9)[:8].reshape(2, 4)
    ends = [plain.flat(plain.descend(start, examples, rows, 1.0)[-1]) for start in (first, second)]
    for work, wanted in ((WHOLE, [plain.flat(plain.gradient(first, examples))]), (RUNS, ends), (BATCHES, ends[:1]),
                         (REDUCES, [plain.flat(first)])):  # fmt: skip
        np.testing.assert_allclose(found[work], wanted, atol=1e-6, err_msg=WORKS[work])


def made_up(speed_up=(1.8, 1.95, 0.8), model=1.0, processes=0.5, apart=0.0):
    """Two devices and two processes, three rounds, so much faster than alone in the median round; shared mini-batches
    take `model` times what the model says, of which a quarter are the all-reduces."""
    seconds = np.ones((2, len(WORKS), 3))
    seconds[1, WHOLE], seconds[1, RUNS], seconds[1, BATCHES] = 1 / speed_up[0], 2 / speed_up[1], 1 / speed_up[2]
    seconds[1, REDUCES] = 1 / speed_up[2] / model - 0.5
    groups = np.full((2, len(WORKS), 3), 0.5)
    groups[1] /= processes
    seconds[..., 2] *= 7  # a round in which something else ran
    return Result(np.array([1, 2]), seconds, np.array([1, 2]), groups, np.array([0, apart]), 600, 13_002, "2 x cpu")


def verdicts(**changes):
    return [claim.holds for claim in scaling.claims(made_up(**changes), Settings())]


@pytest.mark.parametrize(("changes", "fails"), [
    ({}, None), ({"apart": 1.1e-5}, 0), ({"speed_up": (1.69, 1.95, 0.8)}, 1), ({"speed_up": (1.8, 1.89, 0.8)}, 2),
    ({"model": 1.24}, None), ({"model": 1.26}, 3), ({"model": 0.74}, 3), ({"processes": 1.01}, 4),
])  # fmt: skip
def test_every_claim_can_fail(changes, fails):
    assert verdicts(**changes) == [index != fails for index in range(5)]


def test_one_device_makes_no_claim_about_several():
    one = made_up()
    one = one._replace(devices=one.devices[:1], seconds=one.seconds[:1], processes=one.processes[:1],
                       process_seconds=one.process_seconds[:1])  # fmt: skip
    assert len(list(scaling.claims(one, Settings()))) == 1


def test_the_speed_up_of_processes_counts_from_the_first_group_not_from_one_process():
    one, two = (made_up()._replace(processes=np.array(counts)) for counts in ((1, 2), (2, 4)))
    np.testing.assert_array_equal(two.speed_up_of_processes, one.speed_up_of_processes)
    np.testing.assert_array_equal(one.speed_up_of_processes[1, [WHOLE, RUNS]], [0.5, 1.0])


def test_the_finding_says_from_which_batch_on_it_pays():
    said = scaling.finding(made_up(), Settings())
    # three messages of 0.5 us and 52,008 bytes; six of 2.7 us: times 67e12 / (6 x 13,002 x (1 - 1/n))
    assert "13,002 parameters gain with batches above 1,813 on 8 GPUs and 19,579 on 64 hosts" in said
    assert "the gradient over all images is 1.80 times as fast" in said
    assert "on 2 processes, against one, 0.50, 1.00 and 0.50 times (the gradient takes 500 ms on one process, " in said
    assert "500 ms on one process, 1000 on one device)" in said
