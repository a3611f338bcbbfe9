"""Patterns whose share is known; a network whose sensitivities are written out; and Results on which the claims must
hold, and must fail."""

import dataclasses

import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEAN, SAME_MEDIAN

from experiments.networks import what_it_looks_for
from experiments.networks.what_it_looks_for import Result, Settings

SMALLEST = Settings(num_seeds=2, checkpoints=(0.5, 1), num_looked_at=100)
SHAPE = (28, 28, 1)


@pytest.mark.parametrize(("waves", "share"), [(2, 1), (4, 1), (5, 0), (9, 0)])
def test_a_wave_is_coarse_or_not_whatever_its_mean(waves, share):
    image = 3 + np.cos(2 * np.pi * waves * np.arange(28) / 28)[:, None] * np.ones((1, 28))
    assert what_it_looks_for.coarse_share(image.ravel(), SHAPE) == pytest.approx(share, abs=1e-12)


def test_noise_has_the_share_of_the_patterns_within_the_bound():
    patterns = what_it_looks_for.coarse_patterns(28, 28)
    assert patterns.sum() == sum(0 < x * x + y * y <= 16 for x in range(-4, 5) for y in range(-4, 5))
    expected = patterns.sum() / 783
    noise = np.random.default_rng(0).normal(size=(2, 300, 784))
    shares = what_it_looks_for.coarse_share(noise, SHAPE)
    result = made_up(
        coarse=np.zeros((2, 3)), coarse_noise=expected, weights=noise.repeat(2, axis=0)[:3], black=np.zeros(784, bool)
    )
    spread = what_it_looks_for.spread_of_noise(result) / 4  # of the mean of 2 x 300 images
    assert shares.mean() == pytest.approx(expected, abs=4 * spread)
    assert shares.std() / np.sqrt(600) == pytest.approx(spread, rel=0.1)


def looked_at(params, few, black):
    """(|dC/dw|, its correlation, root mean square of dC/dpixel, on black pixels, their share) of a plain network."""
    deltas, images = plain.errors(params, few)[0]
    by_weight = np.mean(np.abs(deltas[:, :, None] * images[:, None]), axis=0)
    told = np.mean([np.corrcoef(row, images.mean(axis=0))[0, 1] for row in by_weight])
    squares = np.mean((deltas @ params[0].weights) ** 2, axis=0)
    expected = np.mean(np.sum(deltas**2, axis=1)) / 784
    on_black = squares[black].mean() / expected, squares[black].sum() / squares.sum()
    return by_weight.mean(axis=0), told, np.sqrt(squares), *on_black


def test_all_looks_are_those_of_plain_descent(ran):
    run, _ = ran("what_it_looks_for")
    result, settings, (train, _, starts, _) = run.result, run.settings, plain.begin(run.settings)
    black, few = (train.inputs == 0).all(axis=0), plain.rows(train, range(100))
    np.testing.assert_array_equal(result.black, black)
    for seed, (start, [order]) in enumerate(zip(starts, plain.shuffles(settings, 600, 1), strict=True)):
        places = plain.descend(start, train, order.reshape(6, 100), settings.learning_rate)[::3]
        weights = np.stack([params[0].weights for params in places])
        by_weight, *numbers = zip(*[looked_at(params, few, black) for params in places], strict=True)
        told, by_pixel, on_black, share = map(np.array, numbers)
        if seed == 0:
            np.testing.assert_allclose(result.weights, weights, atol=1e-5)
            np.testing.assert_allclose(result.weight_sensitivity, by_weight, rtol=1e-3, atol=1e-7)
            np.testing.assert_allclose(result.pixel_sensitivity, by_pixel, rtol=1e-3)
        for found, wanted in ((result.told, told), (result.on_black, on_black), (result.share_on_black, share)):
            np.testing.assert_allclose(found[seed], wanted, rtol=1e-3)
        coarse = what_it_looks_for.coarse_share(weights, SHAPE).mean(axis=1)
        np.testing.assert_allclose(result.coarse[seed], coarse, rtol=1e-4)
        added = what_it_looks_for.coarse_share(weights[1:] - weights[0], SHAPE).mean(axis=1)
        np.testing.assert_allclose(result.coarse_change[seed], added, rtol=1e-4)
        first, last = (plain.flat(params) for params in (start, places[-1]))
        lost = 6 * np.spacing(np.maximum(abs(first), abs(last)).astype(np.float32))  # by rounding in six steps, at most
        assert np.sum(abs(last - first) > lost) <= result.moved[seed] <= np.sum(last != first)
    assert result.moved_on_black.tolist() == [0, 0]
    images = what_it_looks_for.coarse_share(few.inputs / 255, SHAPE).mean()
    assert result.coarse_images == pytest.approx(images, rel=1e-4)
    assert (result.num_parameters, result.image_shape) == (13_002, SHAPE)


def made_up(*, noise=0.06, trained=0.5, first=0.9, later=0.8, told=0.98, before=1.0, after=1.0, **changed):
    """Three seeds, three looks, two neurons of four pixels, one of them always black: the means of the coarse shares
    and of what is on black pixels, and the last seed's other numbers."""
    last = LAST_OFF[:, None]
    found = {
        "epochs": np.array([0, 0.1, 1]), "weights": np.zeros((3, 2, 4)), "weight_sensitivity": np.ones((3, 4)),
        "pixel_sensitivity": np.ones((3, 4)), "coarse": np.array([noise, 0.1, trained]) + 0.01 * SAME_MEAN[:, None],
        "coarse_change": np.where(last, [first, later], [0.9, 0.7]), "told": np.where(last, [told, 0.1, 0.1], 0.98),
        "on_black": np.array([before, 9.0, after]) + 0.2 * SAME_MEAN[:, None],
        "share_on_black": np.array([0.1, 0.2, 0.3]) + 0.01 * SAME_MEDIAN[:, None], "moved": np.array([9, 9, 9]),
        "moved_on_black": np.zeros(3), "num_parameters": 11, "black": np.array([True, False, False, False]),
        "coarse_noise": 0.06, "coarse_images": 0.66, "image_shape": (2, 2, 1),
    }  # fmt: skip
    return Result(**(found | changed))


@pytest.mark.parametrize(
    ("changed", "failing"),
    [({}, []), ({"noise": 0.3}, []), ({"noise": 0.31}, [0]), ({"trained": 0.32}, []), ({"trained": 0.29}, [1]),
     ({"trained": 0.655}, []), ({"trained": 0.665}, [1]), ({"first": 0.67, "later": 0.66}, []),
     ({"first": 0.65, "later": 0.6}, [2]), ({"later": 0.89}, []), ({"later": 0.91}, [3]), ({"told": 0.953}, []),
     ({"told": 0.947}, [4]), ({"moved_on_black": 1e-9 * LAST_OFF}, [5]), ({"moved": np.array([9, 9, 8])}, [6]),
     ({"moved": np.array([10, 10, 10])}, [6]), ({"before": 4.2}, []), ({"before": 4.35}, [7]), ({"after": 4.2}, []),
     ({"after": 4.35}, [8])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changed, failing):
    claims = list(what_it_looks_for.claims(made_up(**changed), SMALLEST))
    assert [index for index, claim in enumerate(claims) if not claim.holds] == failing
    assert len(claims) == 9


def test_the_finding_is_of_the_medians():
    said = what_it_looks_for.finding(made_up(coarse=np.array([0.06, 0.1, 0.5]) + 0.01 * SAME_MEDIAN[:, None]), SMALLEST)
    assert "6% lie in coarse patterns before training, as of noise (6%), up to 50% on the way and 50% after it;" in said
    assert "of the images 66%. What" in said
    assert "coarse at first (90%) and finer later (70%)" in said
    assert "carry 10 % of the sensitivity before and 30 % after (medians)." in said


def test_where_no_pixel_is_always_black_nothing_is_claimed_of_such_and_of_other_networks_nothing():
    assert len(list(what_it_looks_for.claims(made_up(black=np.zeros(4, bool)), SMALLEST))) == 5
    other = dataclasses.replace(SMALLEST, activation="relu")
    assert list(what_it_looks_for.claims(made_up(), other)) == []
