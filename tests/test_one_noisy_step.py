"""One noisy step: plain gradients and costs, and what the claims say of made-up steps."""

from functools import partial
from unittest import mock

import numpy as np
import plain
import pytest
import threefry

from experiments.common import descents
from experiments.mini_batches import one_noisy_step as experiment
from experiments.mini_batches.one_noisy_step import RATES, SIZES, Result, Settings
from research.models import Layer

SMALLEST = Settings(
    num_seeds=2, checkpoints=(0.5, 2), learning_rate=1.0, num_looked_at=512, num_batches=3, layer_sizes=(784, 10)
)
AROUND = partial(mock.patch.object, experiment, "MIXTURES", 5)


def drawn(key, point):
    """(shuffles of 512 images for three batches of every size, signs of five mixtures) at one place."""
    *keys, last = threefry.split(threefry.fold_in(key, point), 6)
    shuffles = [[threefry.permutation(each, 512) for each in threefry.split(key, 3)] for key in keys]
    signs = np.where(threefry.threefry(last, threefry.counted(5 * 512))[0] >> 31, -1, 1)  # of numbers below 1/2
    return shuffles, signs.reshape(5, 512)


class Place:
    """Where a network of one layer stands, and how its cost changes along a line from there."""

    def __init__(self, params, few):
        self.targets, (self.inputs, self.outputs) = few.targets, plain.activations(params, few.inputs)
        self.sums = self.of_sums(params)

    def of_sums(self, layers):
        return self.inputs @ np.asarray(layers[0].weights).T + layers[0].biases

    def costs(self, direction):
        """At the place less every rate times the direction."""
        with np.errstate(over="ignore"):
            outputs = plain.sigmoid(self.sums - RATES[:, None, None] * self.of_sums(direction))
        return np.sum((outputs - self.targets) ** 2, axis=-1).mean(axis=-1)

    def curvature(self, direction):
        """d'Hd."""
        steep = self.outputs * (1 - self.outputs)
        bend = 2 * steep**2 + 2 * (self.outputs - self.targets) * steep * (1 - 2 * self.outputs)
        return np.sum(bend * self.of_sums(direction) ** 2, axis=-1).mean()


def steps_from(params, few, orders, signs):
    """What Result holds of one place, behind the number of epochs and the sizes."""
    place, full = Place(params, few), plain.gradient(params, few)
    cost, norm = plain.costs(params, few).mean(), np.sum(plain.flat(full) ** 2)

    def of_batch(gradient):
        slope = plain.flat(full) @ plain.flat(gradient)
        return cost - place.costs(gradient) + RATES * (norm - slope), place.curvature(gradient)

    of_sizes = []
    for size, shuffles in zip(SIZES, orders, strict=True):
        batches = [plain.gradient(params, plain.rows(few, order[:size])) for order in shuffles]
        gains, bent = zip(*map(of_batch, batches), strict=True)
        of_sizes.append((np.mean(gains, axis=0), np.mean(bent), np.std(bent) / np.sqrt(2)))
    of_sizes.append((*of_batch(full), 0.0))
    [(error, before)], weights = plain.errors(params, few), (signs - signs.mean(axis=1)[:, None]) / np.sqrt(512)
    mixed = [[Layer((row[:, None] * error).T @ before, row @ error)] for row in weights]
    traces = [place.curvature(mixture) for mixture in mixed]
    known = cost, norm, place.curvature(full), plain.scatter(params, few), np.mean(traces), np.std(traces) / 2
    return *known, *map(np.array, zip(*of_sizes, strict=True))


def test_steps_gain_what_plain_gradients_and_costs_say_at_every_place(ran):
    run, _ = ran("one_noisy_step")
    settings, (train, _, starts, _) = run.settings, plain.begin(run.settings)
    few = plain.rows(train, np.arange(512))
    batches = descents.in_batches(plain.shuffles(settings, 600, settings.num_epochs), 100)
    keys = [key for _, key in threefry.seed_keys(settings.seed + 1, 2)]
    assert run.result.sizes.tolist() == [*SIZES, 512]
    for seed, start in enumerate(starts):
        passed = plain.descend(start, train, batches[seed], settings.learning_rate)
        for place, (point, step) in enumerate(((0, 0), (3, 3), (7, 12))):
            expected = steps_from(passed[step], few, *drawn(keys[seed], point))
            for name, numbers in zip(Result._fields[2:], expected, strict=True):
                found = getattr(run.result, name)[seed, place]
                np.testing.assert_allclose(found, numbers, rtol=1e-3, atol=1e-9, err_msg=name)


def test_the_formula_is_of_the_second_order_and_of_drawing_without_replacement(ran):
    result = ran("one_noisy_step")[0].result
    for index, size in enumerate(result.sizes):
        bent = result.along + result.scatter / size * (512 - size) / 511
        gains = RATES * result.squared_norm[..., None] - RATES**2 / 2 * bent[..., None]
        np.testing.assert_allclose(result.foretold(RATES)[:, :, index], gains, rtol=1e-9)


@pytest.fixture
def made_up():
    """Two seeds at two places, with what the formula says everywhere; B_simple is B_noise."""
    ones, sizes = np.ones((2, 2)), np.array([*SIZES, 10_000])
    scale = ones * [[10, 40], [12, 50]]
    result = Result(
        np.array([0.0, 1.0]), sizes, ones, ones, 0.01 * ones, scale, 0.01 * scale, 1e-3 * ones, np.zeros((2, 2, 6, 11)),
        np.zeros((2, 2, 6)), np.full((2, 2, 6), 1e-3),
    )  # fmt: skip
    bent = result.along[..., None] + result.shared(result.scatter)
    return result._replace(gain=result.foretold(RATES), bent=bent)


def test_the_half_is_where_the_noise_scale_says(made_up):
    for (
        half
    ) in made_up.halves:  # (N-B)/(N-1) is 1 but for 0.5 %; between sizes by logarithms; and rates are powers of 2
        np.testing.assert_allclose(half, [[10, 40], [12, 50]], rtol=0.35)
    assert experiment.half_size(np.array([1, 4]), np.array([0.6, 1.0])) == 1


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        (lambda it: {}, [True, True, True]),
        (lambda it: {"bent": it.bent + np.eye(2)[..., None] * 0.02 * [1, 0, 0, 0, 0, 0]}, [False, True, True]),
        (lambda it: {"scatter": 9 * it.scatter, "bent": it.bent + 8 * it.shared(it.scatter)}, [True, False, True]),
        (lambda it: {"total_variance": it.total_variance * [1, 5]}, [True, True, False]),
        (lambda it: {"total_variance": it.total_variance * [0.2, 1]}, [True, True, False]),
    ],
)
def test_claims_hold_and_fail(made_up, change, holds):
    result = made_up._replace(**change(made_up))
    assert [claim.holds for claim in experiment.claims(result, Settings())] == holds


def test_the_finding_names_the_place_at_which_the_noise_scale_is_farthest_off(made_up):
    result = made_up._replace(total_variance=made_up.total_variance * [1, 5])
    measured, formula, simple = (np.median(half[:, 1]) for half in result.halves)
    said = experiment.finding(result, Settings())
    assert said.startswith(f"At epoch 1 one step of a batch of {measured:,.0f} gains half")
    assert said.endswith(f"foretells {formula:,.0f} on the same rates, the noise scale {simple:,.0f} (medians).")
