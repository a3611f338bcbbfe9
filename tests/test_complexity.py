"""Operations by counting multiplications, XLA's count of a product, and the claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.common.bounds import SettingsError
from experiments.networks import complexity
from experiments.networks.complexity import FULL, Result, Settings, Sweep

SMALLEST = Settings(
    num_seeds=1, halvings=3, widths=(2, 4), depths=(1,), depth_width=4, batch_sizes=(1, 64), num_images=64
)


@pytest.mark.parametrize("sizes", [(784, 16, 16, 10), (5, 3), (4, 3, 2)])
def test_the_formula_counts_every_product_of_backpropagation_written_out(sizes):
    additions_and_products = 0
    for layer in range(1, len(sizes)):
        for _ in range(sizes[layer]):
            for _ in range(sizes[layer - 1]):
                additions_and_products += 2  # w a, added to the weighted sum
                additions_and_products += 2  # delta a, added to the slope of w over the examples
                additions_and_products += 2 * (layer > 1)  # delta w, added to the wish of a; pixels have none
    assert complexity.flops_by_formula(sizes) == additions_and_products


def test_xla_counts_a_matrix_product_as_the_formula_does():
    shapes = (jax.ShapeDtypeStruct((50, 60), jnp.float32), jax.ShapeDtypeStruct((60, 70), jnp.float32))
    assert complexity.count(jnp.matmul, *shapes)[0] == pytest.approx(2 * 50 * 60 * 70, rel=1e-3)


def made_up(power, chunked_bytes, factor):
    """Four numbers of images and one width; time and memory at once go as N^power."""
    x, ones = np.array([7000, 15_000, 30_000, 60_000]), np.ones(2)
    own = x.astype(float)
    examples, width = Sweep(x, own, own[None] ** power), Sweep(np.array([16]), np.ones(1), np.ones((1, 1)))
    return Result(examples, width, width, width, 52_672 * ones, factor * 52_672 * ones, own, own**power, chunked_bytes)


def test_the_claims_tell_proportional_from_not():
    good = list(complexity.claims(made_up(1, np.full(4, 3.0), 1.05), FULL))
    assert [claim.holds for claim in good] == [True] * 4
    bad = list(complexity.claims(made_up(2, np.arange(1.0, 5), 1.2), FULL))
    assert [claim.holds for claim in bad] == [False] * 4
    np.testing.assert_allclose([bad[0].measured, bad[1].measured, bad[3].measured], [2, 2, 1.2], rtol=1e-6)
    other = dataclasses.replace(FULL, dataset="kmnist")
    assert list(complexity.claims(made_up(1, np.ones(4), 1), other)) == []


def test_a_batch_larger_than_what_it_is_drawn_from_is_refused():
    with pytest.raises(SettingsError, match="--batch-sizes has 65; with --num-images 64 none may be larger"):
        dataclasses.replace(SMALLEST, batch_sizes=(65,)).check()
