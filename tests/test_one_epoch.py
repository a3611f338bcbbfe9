"""The quality of an epoch's batches against plain gradients; Results on which the claims hold, and fail."""

import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEAN, SAME_MEDIAN

from experiments.common import descents
from experiments.mini_batches import one_epoch
from experiments.mini_batches.one_epoch import Quality, Result, Settings

SMALLEST = Settings(num_seeds=2, num_epochs=3, batch_size=70, layer_sizes=(784, 10))  # 40 of 600 sit an epoch out


def quality(gram, batches):
    """What the products of all examples' gradients say of the batches of one epoch."""
    (num_examples, size), full = (len(gram), batches.shape[1]), gram.mean()
    kept, along = batches.ravel(), gram.mean(axis=1)[batches].mean(axis=1)
    squared = np.array([gram[np.ix_(rows, rows)].mean() for rows in batches])
    apart = gram[np.ix_(kept, kept)].mean() - 2 * along.mean() + full
    total_variance = gram[kept, kept].mean() - full
    scatter = total_variance / size * (num_examples - size) / (num_examples - 1)
    ratio = (squared - 2 * along + full).mean() / scatter
    return Quality(np.sqrt(apart / full), ratio, along / np.sqrt(squared * full), 1 / np.sqrt(1 + scatter / full))


def test_batches_of_the_first_epoch_are_as_good_as_plain_gradients_say_at_the_start_and_at_the_end(ran):
    run, _ = ran("one_epoch")
    settings, result, (train, _, starts, _) = run.settings, run.result, plain.begin(run.settings)
    order = plain.shuffles(settings, len(train.inputs), settings.num_epochs)
    steps, epoch = (descents.in_batches(part, settings.batch_size) for part in (order, order[:, :1]))
    for seed, start in enumerate(starts):
        end = plain.descend(start, train, steps[seed], settings.learning_rate)[-1]
        assert result.train_accuracy[seed] == pytest.approx(plain.accuracy(end, train), abs=0.004)  # two of 600
        for place, found in ((start, result.start), (end, result.end)):
            expected = quality(plain.products(place, train), epoch[seed])
            for name, numbers in expected._asdict().items():
                np.testing.assert_allclose(getattr(found, name)[seed], numbers, rtol=1e-4, atol=1e-6, err_msg=name)
    assert result.num_in_batches == 560
    np.testing.assert_array_equal(np.flatnonzero(result.times_seen == 1), np.sort(epoch[0].ravel()))


def made_up(*, ratio=0.0, off=0.0, error=0.0, seen=1.0, when="end"):
    """Three seeds, of which at one time the median is so far off theory, and the last average from the gradient."""

    def quality(ratio=0.0, off=0.0, error=0.0):
        cosines = 0.5 + off + 0.04 * SAME_MEDIAN[:, None] + 0.1 * SAME_MEAN  # of three batches
        return Quality(error * LAST_OFF, 1 + ratio + 0.04 * SAME_MEDIAN, cosines, np.full(3, 0.5))

    times = {"start": quality(), "end": quality()} | {when: quality(ratio, off, error)}
    return Result(times["start"], times["end"], np.full(600, seen), 600, 0.9 + 0.01 * SAME_MEDIAN)


@pytest.mark.parametrize(("when", "first"), [("start", 1), ("end", 4)])
@pytest.mark.parametrize(
    ("changed", "failing"),
    [({}, []), *[({name: sign * 0.047}, []) for name in ("ratio", "off") for sign in (1, -1)], ({"ratio": 0.053}, [0]),
     ({"ratio": -0.053}, [0]), ({"off": 0.053}, [1]), ({"off": -0.053}, [1]), ({"error": 9.5e-5}, []),
     ({"error": 1.05e-4}, [2])],
)  # fmt: skip
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changed, failing, when, first):
    found = list(one_epoch.claims(made_up(**changed, when=when), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == [first + index for index in failing]


def test_every_example_comes_once_and_those_that_are_left_out_leave_no_average():
    assert [claim.id for claim in one_epoch.claims(made_up(seen=2.0), SMALLEST) if not claim.holds] == ["T31"]
    left_out = made_up()._replace(num_in_batches=599, times_seen=np.where(np.arange(600) < 599, 1.0, 0.0))
    assert [claim.id for claim in one_epoch.claims(left_out, SMALLEST)] == ["T31", "T33", "T33", "T33", "T33"]
    assert next(one_epoch.claims(left_out, SMALLEST)).holds


def test_the_finding_is_of_the_median_seed():
    result = made_up(off=-0.2, error=2e-7)
    said = one_epoch.finding(result, SMALLEST)
    assert "a cosine of 0.500 with the full gradient at the start and 0.30 after 3 epochs (90.0 % of the" in said
    assert said.endswith("the batches give the full gradient to 2e-07.")
    assert "(median 0.500) less theory's, at the start" in list(one_epoch.claims(result, SMALLEST))[2].says
