"""Operations by counting multiplications, XLA's count of a product, and the claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SAME_MEDIAN

from experiments.common.bounds import SettingsError
from experiments.networks import complexity
from experiments.networks.complexity import FULL, Result, Settings, Sweep

SMALLEST = Settings(
    num_seeds=2, halvings=3, widths=(2, 4), depths=(1,), depth_width=4, batch_sizes=(1, 64), num_images=64
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


def made_up(time=1.0, at_once=1.0, in_chunks=0.0, of_networks=1.0, of_examples=1.0):
    """Five numbers of images, two networks, three rounds; time and memory go as these powers of the number, the time in
    the median round, where there are more than 1/8 of all; XLA counts such factors of the last formulas."""
    x = np.array([100, 7500, 15_000, 30_000, 60_000])
    own, last = x.astype(float), np.arange(5) == 4
    seconds = np.array([[9.0], [2.0], [1.0]]) * (own / 60_000) ** (time + 0.1 * SAME_MEDIAN[:, None]) + (x == 100)
    sweep = Sweep(np.array([16, 64]), np.array([2.0, 8.0]), np.array([[1.0, 8.0], [2.0, 20.0], [3.0, 90.0]]))
    formula = np.array([3e6, 4e6]), 3e6 * own
    counted = formula[0] * (1, of_networks), formula[1] * np.where(last, of_examples, 1)
    examples = Sweep(x, formula[1], seconds)
    return Result(examples, sweep, sweep, sweep, formula[0], *counted, own**at_once, own**in_chunks)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), *[({name: size + off}, []) for name, size in (("time", 1), ("at_once", 1), ("in_chunks", 0))
                 for off in (0.047, -0.047)],
     ({"time": 1.053}, [0]), ({"time": 0.947}, [0]), ({"at_once": 1.053}, [1]), ({"at_once": 0.947}, [1]),
     ({"in_chunks": 0.053}, [2]), ({"in_chunks": -0.053}, [2]), ({"of_networks": 1.095}, []),
     ({"of_networks": 1.105}, [3]), ({"of_networks": 0.895}, [3]), ({"of_examples": 0.905}, []),
     ({"of_examples": 0.895}, [3]), ({"of_examples": 1.105}, [3])],
)  # fmt: skip
def test_the_claims_tell_proportional_from_not(changes, failing):
    found = list(complexity.claims(made_up(**changes), FULL))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing
    assert list(complexity.claims(made_up(**changes), dataclasses.replace(FULL, dataset="kmnist"))) == []


def test_the_finding_is_of_the_median_round():
    said = complexity.finding(made_up(), FULL)
    assert "The gradient over 60,000 images takes 2000 ms (median; 90 GFLOP/s), slope in N from " in said
    assert " on 1.00 (0.90 to 1.90)" in said
    assert "width 16 to 64: 4 times the operations in 10 times the time; depth 16 to 64: 4" in said


def test_a_batch_larger_than_what_it_is_drawn_from_is_refused():
    with pytest.raises(SettingsError, match="--batch-sizes has 65; with --num-images 64 none may be larger"):
        dataclasses.replace(SMALLEST, batch_sizes=(65,)).check()
