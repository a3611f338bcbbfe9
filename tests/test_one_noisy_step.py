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


def lines(params, few, directions):
    """(the cost at `params` less every rate times the direction, d'Hd) of every direction d: a network of one layer,
    whose sums go as the rate."""
    inputs, outputs = plain.activations(params, few.inputs)
    rows = np.concatenate([np.hstack([layer.weights, layer.biases[:, None]]) for [layer] in (params, *directions)])
    sums, *along = np.split(inputs @ rows[:, :-1].T + rows[:, -1], len(directions) + 1, axis=1)
    steep = outputs * (1 - outputs)
    bend = 2 * steep**2 + 2 * (outputs - few.targets) * steep * (1 - 2 * outputs)
    for slope in along:
        with np.errstate(over="ignore"):
            ends = plain.sigmoid(sums - RATES[:, None, None] * slope)
        yield np.sum((ends - few.targets) ** 2, axis=-1).mean(axis=-1), np.sum(bend * slope**2, axis=-1).mean()


def steps_from(params, few, orders, signs):
    """What Result holds of one place, behind the number of epochs and the sizes."""
    full, [(error, before)] = plain.gradient(params, few), plain.errors(params, few)
    cost, norm = plain.costs(params, few).mean(), np.sum(plain.flat(full) ** 2)
    batches = [plain.gradient(params, plain.rows(few, order[:size]))
               for size, shuffles in zip(SIZES, orders, strict=True) for order in shuffles]  # fmt: skip
    weights = (signs - signs.mean(axis=1)[:, None]) / np.sqrt(512)
    mixed = [[Layer((row[:, None] * error).T @ before, row @ error)] for row in weights]
    costs, bent = map(np.array, zip(*lines(params, few, [*batches, full, *mixed]), strict=True))
    slopes = np.array([plain.flat(full) @ plain.flat(batch) for batch in [*batches, full]])
    gains = cost - costs[:16] + RATES * (norm - slopes[:, None])
    known = cost, norm, bent[15], plain.scatter(params, few), bent[16:].mean(), bent[16:].std() / 2
    of_size = lambda numbers: numbers[:15].reshape(5, 3, *numbers.shape[1:])  # three batches each; the full one is 15
    gain, mean = (np.concatenate([of_size(each).mean(axis=1), each[15:16]]) for each in (gains, bent))
    return *known, gain, mean, np.append(of_size(bent).std(axis=1) / np.sqrt(2), 0)


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


@pytest.mark.parametrize("times", [5, 0.2])
def test_the_finding_names_the_place_at_which_the_noise_scale_is_farthest_off(made_up, times):
    result = made_up._replace(total_variance=made_up.total_variance * [1, times])
    measured, formula, simple = (np.median(half[:, 1]) for half in result.halves)
    said = experiment.finding(result, Settings())
    assert said.startswith(f"At epoch 1 one step of a batch of {measured:,.0f} gains half")
    assert said.endswith(f"foretells {formula:,.0f} on the same rates, the noise scale {simple:,.0f} (medians).")
