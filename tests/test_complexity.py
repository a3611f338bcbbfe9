"""Operations by counting multiplications, XLA's count of a product, and the claims."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SAME_MEDIAN

from experiments.common import problem
from experiments.common.bounds import SettingsError
from experiments.networks import complexity
from experiments.networks.complexity import FULL, Result, Settings, Sweep
from research import costs
from research.data import Examples
from research.models import mlp

SMALLEST = Settings(
    num_seeds=2, halvings=3, widths=(2, 4), depths=(2,), depth_width=4, batch_sizes=(1, 64), num_images=64
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


OWN = (6, 30, 2)
FORTY = Examples(np.zeros((40, 6), np.uint8), np.eye(2, dtype=np.float32)[np.arange(40) % 2])
POSED = problem.Problem(mlp(OWN), costs.sum_of_squares, FORTY, FORTY, (2, 3, 1), mlp=mlp)


def test_what_is_timed_is_what_its_point_says():
    settings = dataclasses.replace(SMALLEST, depths=(1, 3), batch_sizes=(1, 5), num_images=12)
    *gradients, passes = complexity.sweeps_of(POSED, OWN, settings)
    asked = (
        [(number, OWN, number) for number in (5, 10, 20, 40)],
        [(width, (6, width, 2), 12) for width in (2, 4)],
        [(1, (6, 4, 2), 12), (3, (6, 4, 4, 4, 2), 12)],
    )
    for points, expected in zip(gradients, asked, strict=True):
        assert [(point.x, point.sizes, len(point.call.args[1].inputs)) for point in points] == expected
        for point, (_, sizes, number) in zip(points, expected, strict=True):
            assert [layer.weights.shape[::-1] for layer in point.call.args[0]] == list(pairwise(sizes))
            assert point.flops == number * complexity.flops_by_formula(sizes)
    for point, size in zip(passes, (1, 5), strict=True):
        state, examples, rows = point.call.args
        assert [layer.weights.shape[::-1] for layer in state.params] == list(pairwise(OWN))
        assert (point.x, point.sizes, len(examples.inputs)) == (size, OWN, 12)
        assert point.flops == 12 * complexity.flops_by_formula(OWN)
        np.testing.assert_array_equal(np.ravel(rows), np.arange(12 // size * size))
        assert rows.shape[-1] == size


def test_memory_in_chunks_is_that_of_a_loop_and_memory_at_once_is_not(monkeypatch):
    def told(gradient, params, few):
        return len(few.inputs), "scan" in str(jax.make_jaxpr(gradient)(params, few))

    monkeypatch.setattr(problem, "CHUNK", 10)
    monkeypatch.setattr(complexity, "count", told)
    np.testing.assert_array_equal(complexity.counts_of(POSED, [20, 40]), [[20, 40], [False] * 2, [True] * 2])


def test_every_network_and_number_of_images_is_counted(ran):
    result = ran("complexity")[0].result
    found = [result.examples.x, result.width.x, result.depth.x, result.batch.x]
    assert [x.tolist() for x in found] == [[75, 150, 300, 600], [2, 4], [2], [1, 64]]
    networks = [(784, 16, 16, 10), (784, 2, 10), (784, 4, 10), (784, 4, 4, 10)]
    formula = [complexity.flops_by_formula(sizes) for sizes in networks]
    np.testing.assert_array_equal(result.network_formula, formula)
    np.testing.assert_allclose(result.network_flops, formula, rtol=0.3)
    np.testing.assert_allclose(result.examples_flops, formula[0] * result.examples.x, rtol=0.3)


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
