"""What computes the same numbers, and who is told that it does not."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from unittest import mock

import numpy as np
import plain
import pytest
import threefry

from experiments.common.bounds import SettingsError
from experiments.networks import same_numbers
from experiments.networks.same_numbers import AGAIN, FOUND, Result, Settings

SMALLEST = Settings(num_examples=200, num_steps=2, batch_size=100, layer_sizes=(784, 10))
NUMBERS = {}  # number of devices -> what they found in the run of `ran`


def kept(problem, settings, devices, numbers_on=same_numbers.numbers_on):
    NUMBERS[len(devices)] = numbers_on(problem, settings, devices)
    return NUMBERS[len(devices)]


AROUND = partial(mock.patch.object, same_numbers, "numbers_on", kept)
WAYS = ("a process", AGAIN, "1 of 2 devices", "2 of 2 devices", "Python 3.13.0, JAX 0.12.0")
APART = np.zeros((len(WAYS), len(FOUND)))


def changed(way, found, apart):
    table = APART.copy()
    table[way, found] = apart
    return Result(WAYS, table, 100)


@pytest.mark.parametrize("found", range(len(FOUND)))
@pytest.mark.parametrize(
    ("way", "apart", "missed"),
    [
        (1, 1e-12, "another process of the same Python"),
        (2, 2e-6, "any number"),
        (3, 9e-7, None),
        (3, 2e-6, "any number"),
        (4, 9e-7, None),
        (4, 2e-6, "Python 3.13.0, JAX 0.12.0 finds"),
    ],
)
def test_every_way_and_every_number_is_held_to_its_bound(way, apart, missed, found):
    says = [claim.says for claim in same_numbers.claims(changed(way, found, apart), SMALLEST) if not claim.holds]
    assert [said.startswith(missed) for said in says] == ([True] if missed else [])


def test_the_finding_names_the_number_that_differs_most():
    said = same_numbers.finding(changed(3, FOUND.index("noise"), 3e-7), SMALLEST)
    assert "1 of 2 devices: the same bits" in said
    assert "2 of 2 devices: 3.0e-07 (in noise)" in said


def test_the_numbers_are_those_of_a_plain_network(ran):
    run, _ = ran("same_numbers")
    settings, (train, _, _, _) = run.settings, plain.begin(run.settings)
    train = train._replace(inputs=train.inputs / 255)
    init_key, order_key, _ = threefry.split(threefry.key(settings.seed), 3)
    start, (order,) = plain.start(init_key, settings.layer_sizes), threefry.shuffles(order_key, len(train.inputs), 1)
    batches = order.reshape(-1, settings.batch_size)[: settings.num_steps]
    end = plain.descend(start, train, batches, rate=1.0)[-1]
    assert run.result.steps == len(batches)
    gradient, cost = plain.flat(plain.gradient(start, train)), plain.costs(start, train).mean()
    noise, top = plain.scatter(start, train), plain.spectrum(end, train, 24)[-1]
    for count in (1, 2):
        for found, wanted in zip(NUMBERS[count], (cost, gradient, noise, plain.flat(end), top), strict=True):
            np.testing.assert_allclose(found.reshape(np.shape(wanted)), wanted, atol=2e-5 * np.abs(wanted).max())
    assert run.result.apart.max() < 1e-5  # another process computes the same


def test_every_way_is_held_against_the_first_process(monkeypatch):
    """All find -4 and 2; the k-th way a number that is k quarters further down, and in the j-th j times as far."""
    far, alone = np.arange(len(FOUND)), np.array([2.0, -4.0])
    numbers = lambda way: [alone - [0, way * each] for each in far]
    processes = iter((0, 1, 4))
    together = lambda count, found_by, settings, python="": (python, numbers(next(processes)))
    monkeypatch.setattr(same_numbers.processes, "together", together)
    monkeypatch.setattr(same_numbers, "numbers_on", lambda problem, settings, devices: numbers(1 + len(devices)))
    images = SimpleNamespace(train=SimpleNamespace(inputs=np.zeros((7, 1))))
    settings = SimpleNamespace(batch_size=2, num_steps=5, pythons=("python9",))
    found = same_numbers.measure(images, settings)
    assert found.ways == ("a process", AGAIN, "1 of 2 devices", "2 of 2 devices", "python9")
    np.testing.assert_allclose(found.apart, np.outer([0, 1, 2, 3, 4], far / 4))
    assert found.steps == 3


def test_a_python_that_is_none_is_refused():
    with pytest.raises(SettingsError, match="no-such-python, which is no program"):
        replace(SMALLEST, pythons=("no-such-python",)).check()
