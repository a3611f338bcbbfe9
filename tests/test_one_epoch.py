"""The quality of an epoch's batches against sums written out; Results on which the claims hold, and fail."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEAN, SAME_MEDIAN, make_examples

from experiments.common.problem import Problem
from experiments.mini_batches import one_epoch
from experiments.mini_batches.one_epoch import Quality, Result, Settings
from research import costs, models

SMALLEST = Settings(num_seeds=2, num_epochs=1, batch_size=60, layer_sizes=(784, 10))


def test_the_quality_of_one_epoch_is_what_sums_written_out_say(x64):
    examples, sizes = make_examples(jax.random.key(0), 12), (12, 5, 4)
    model = models.mlp(sizes)
    problem = Problem(model, costs.sum_of_squares, examples, examples, (3, 4, 1))
    params = jax.tree.map(lambda leaf: leaf.astype(float), model.init(jax.random.key(1)))
    schedule = jax.random.permutation(jax.random.key(2), 12).reshape(4, 3)
    quality = jax.jit(partial(one_epoch.quality, problem))
    mean_error, variance_ratio, cosines, predicted = quality(params, examples, schedule)
    gradient = jax.jit(jax.grad(problem.cost))

    def flat_gradient(rows):
        batch = jax.tree.map(lambda leaf: leaf[rows], examples)
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient(params, batch))])

    each = np.stack([flat_gradient(jnp.array([row])) for row in range(12)])
    full, batches = each.mean(axis=0), np.stack([flat_gradient(rows) for rows in schedule])
    total_variance = np.mean(np.sum(each**2, axis=1)) - full @ full
    scatter = np.mean(np.sum((batches - full) ** 2, axis=1))
    assert float(mean_error) < 1e-12
    assert float(variance_ratio) == pytest.approx(scatter / (total_variance / 3 * (12 - 3) / (12 - 1)))
    np.testing.assert_allclose(cosines, batches @ full / np.linalg.norm(batches, axis=1) / np.linalg.norm(full))
    assert float(predicted) == pytest.approx(1 / np.sqrt(1 + total_variance / (full @ full) / 3 * 9 / 11))


def test_batches_agree_at_the_start_and_less_after_training(ran):
    result = ran("one_epoch")[0].result
    assert (result.end.cosines.mean(axis=1) < result.start.cosines.mean(axis=1)).all()


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
    assert "a cosine of 0.500 with the full gradient at the start and 0.30 after 1 epoch (90.0 % of the" in said
    assert said.endswith("the batches give the full gradient to 2e-07.")
    assert "(median 0.500) less theory's, at the start" in list(one_epoch.claims(result, SMALLEST))[2].says
