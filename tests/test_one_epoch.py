"""The quality of an epoch's batches against sums written out; Results on which the claims hold, and fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples

from experiments.common.problem import Problem
from experiments.mini_batches import one_epoch
from experiments.mini_batches.one_epoch import Quality, Result, Settings
from research import costs, models

SMALLEST = Settings(num_seeds=2, num_epochs=1, batch_size=60)


def test_the_quality_of_one_epoch_is_what_sums_written_out_say(x64):
    examples, sizes = make_examples(jax.random.key(0), 12), (12, 5, 4)
    model = models.mlp(sizes)
    problem = Problem(model, costs.sum_of_squares, examples, examples, (3, 4, 1))
    params = jax.tree.map(lambda leaf: leaf.astype(float), model.init(jax.random.key(1)))
    schedule = jax.random.permutation(jax.random.key(2), 12).reshape(4, 3)
    mean_error, variance_ratio, cosines, predicted = one_epoch.quality(problem, params, examples, schedule)

    def flat_gradient(rows):
        batch = jax.tree.map(lambda leaf: leaf[rows], examples)
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.grad(problem.cost)(params, batch))])

    each = np.stack([flat_gradient(jnp.array([row])) for row in range(12)])
    full, batches = each.mean(axis=0), np.stack([flat_gradient(rows) for rows in schedule])
    total_variance = np.mean(np.sum(each**2, axis=1)) - full @ full
    scatter = np.mean(np.sum((batches - full) ** 2, axis=1))
    assert float(mean_error) < 1e-12
    assert float(variance_ratio) == pytest.approx(scatter / (total_variance / 3 * (12 - 3) / (12 - 1)))
    np.testing.assert_allclose(cosines, batches @ full / np.linalg.norm(batches, axis=1) / np.linalg.norm(full))
    assert float(predicted) == pytest.approx(1 / np.sqrt(1 + total_variance / (full @ full) / 3 * 9 / 11))


def made_up(ratio=1.0, off=0.0, error=1e-7, seen=1.0):
    quality = Quality(np.full(2, error), np.full(2, ratio), np.full((2, 10), 0.5 + off), np.full(2, 0.5))
    return Result(quality, quality, np.full(600, seen), 600, np.array([0.9, 0.9]))


@pytest.mark.parametrize(
    ("changed", "failing"),
    [({}, 0), ({"ratio": 1.06}, 2), ({"ratio": 0.94}, 2), ({"off": 0.06}, 2), ({"off": -0.06}, 2), ({"error": 1e-3}, 2),
     ({"seen": 2.0}, 1)],
)  # fmt: skip
def test_the_claims_hold_where_theory_does_and_fail_elsewhere(changed, failing):
    assert sum(not claim.holds for claim in one_epoch.claims(made_up(**changed), SMALLEST)) == failing
