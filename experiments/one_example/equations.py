"""What do the four equations of backpropagation say of one image, in numbers?

The calculus that the film leaves to its sequel, beside the film's words (Nielsen, chapter 2, BP1 to BP4), with the
numbers of this network for one image, before any training. In the film's direction, p = -dC/dz, the pull on a neuron:

    p_L = -dC/da_L * f'(z_L)                   how far an output is from its target, times its slope
    p_l = (W_(l+1)^T p_(l+1)) * f'(z_l)        what all neurons of the next layer want of it, added up, times its slope
    -dC/db_l = p_l        -dC/dW_l = p_l a_(l-1)^T

Each is held in float64 against jax.grad, which makes both sides of it, in several networks. Nothing is trained here.

Run:     python -m experiments equations [--quick | --full] [--index 5]
Time:    default 5 s, --quick 5 s, --full 2 s on 2 cores, compilation included
Result:  the four equations give all 13,002 components, within 7e-17 of jax.grad in 20 networks. For one image of a 2
         3,466 of them are not 0: 3,024 of the 12,560 of the first layer, and all 272 and 170 of the others.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jax import Array
from jaxtyping import Float, Int

from experiments.common import descents, experiment, runs, wishes
from experiments.common.bounds import below_train, require
from experiments.common.claims import Claims, at_most, exactly, identity
from experiments.common.plots import Figure, Page
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import equations_figures as drawn
from research import data
from research.backprop import Functions
from research.data import Examples
from research.models import Layer

EQUATIONS = ("the outputs' pulls", "the pulls of every layer before", "the nudges of the biases",
             "the nudges of the weights")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    index: Annotated[int | None, Ge(0), below_train] = None
    """Which training example is followed, from 0; by default the first 2."""


QUICK = Settings(num_seeds=2)
FULL = Settings(num_seeds=20)


class Shown(NamedTuple):
    """The last layer and the one before it, in the first seed's network: all that is written down."""

    activations: Float[np.ndarray, "outputs"]
    targets: Float[np.ndarray, "outputs"]
    nudges: Float[np.ndarray, "outputs"]
    slopes: Float[np.ndarray, "outputs"]
    pulls: Float[np.ndarray, "outputs"]
    weights: Float[np.ndarray, "outputs before"]
    before: Float[np.ndarray, "before"]  # activations
    slopes_before: Float[np.ndarray, "before"]


class Result(NamedTuple):
    errors: Float[np.ndarray, "seeds equations"]  # relative
    widths: Int[np.ndarray, "all_layers"]  # neurons, the pixels first
    counts: Int[np.ndarray, "layers 2"]  # components of the gradient: weights, biases
    not_zero: Int[np.ndarray, "seeds layers"]  # of these, for this image
    num_lit: int  # pixels of this image that are not black
    row: int  # of the training set
    shown: Shown
    sigmoids: bool  # whether all neurons are


def pulls_by_autodiff(functions: Functions, params: list[Layer], sums: Sequence, target: Array) -> list[Array]:
    """-dC/dz of every layer: jax.grad of the cost that is made of its weighted sums."""
    activate = wishes.layer_functions(functions, params)

    def cost_from(layer: int, sums: Array) -> Array:
        for after in range(layer + 1, len(params)):
            sums = params[after].weights @ activate[after - 1](sums) + params[after].biases
        return functions.cost_fn(activate[-1](sums), target)

    return [-jax.grad(partial(cost_from, layer))(seen) for layer, seen in enumerate(sums)]


def of_seed(functions: Functions, one: Callable, params: list[Layer], example: Examples) -> tuple:
    """(the four relative errors, components that are not 0 in each layer, what is written down) of one network."""
    _, told = wishes.tell(functions, params, example)
    slopes, seen = [layer.slopes for layer in told], [example.inputs, *(layer.activations for layer in told)]
    pulls = pulls_by_autodiff(functions, params, [layer.sums for layer in told], example.targets)
    grads = jax.grad(one)(params, example)
    nudges = -jax.grad(functions.cost_fn)(seen[-1], example.targets)
    both_sides = (
        (nudges * slopes[-1], pulls[-1]),
        ([(after.weights.T @ pull) * slope for after, pull, slope in zip(params[1:], pulls[1:], slopes, strict=False)],
         pulls[:-1]),
        (pulls, [-layer.biases for layer in grads]),
        (list(map(jnp.outer, pulls, seen)), [-layer.weights for layer in grads]),
    )  # fmt: skip
    not_zero = [jnp.count_nonzero(layer.weights) + jnp.count_nonzero(layer.biases) for layer in grads]
    shown: Any = (seen[-1], example.targets, nudges, slopes[-1], pulls[-1], params[-1].weights, seen[-2], slopes[-2])
    return jnp.stack([wishes.relative_error(*sides) for sides in both_sides]), jnp.stack(not_zero), Shown(*shown)


def measure(problem: Problem, settings: Settings) -> Result:
    activations = plain_layers(problem, "the four equations are those of one layer after another")
    start = jax.eval_shape(problem.model.init, jax.random.key(0))
    require(len(start) > 1, "--layer-sizes has no hidden layer; the second equation needs one, as in 784 16 10")
    labels = np.argmax(np.asarray(problem.train.targets), axis=1)
    index = int(np.argmax(labels == 2)) if settings.index is None else settings.index
    example = jax.device_get(data.take(problem.train, index))
    starts = descents.starts(problem, runs.seed_keys(settings.seed, settings.num_seeds)[0])
    look = partial(of_seed, Functions(problem.cost_fn, *activations), problem.example_cost)
    errors, not_zero, shown = runs.in_float64(runs.over_seeds(look, (0, None)))(starts, example)
    return Result(
        errors, np.array([len(example.inputs), *(len(layer.biases) for layer in start)]),
        np.array([[layer.weights.size, layer.biases.size] for layer in start]), not_zero,
        int(np.count_nonzero(example.inputs)), index, data.take(shown, 0), set(activations) == {jax.nn.sigmoid},
    )  # fmt: skip


def claims(result: Result, settings: Settings) -> Claims:
    for number, (says, error) in enumerate(zip(EQUATIONS, result.errors.max(axis=0), strict=True), start=1):
        yield identity("T41", f"equation {number}, {says}, is true of jax.grad's numbers", error, at_most(1e-12),
                       "largest relative error", f"the chain rule; Nielsen, chapter 2, BP{number}")  # fmt: skip
    before, after = result.widths[:-1], result.widths[1:]
    yield identity("T1", f"{drawn.sizes(result)}: a component for every two neighbours and one for every bias",
                   result.counts.sum(), exactly(int(((before + 1) * after).sum())), "components",
                   "sum of (n + 1) m")  # fmt: skip
    if result.sigmoids:  # others may sleep
        dark = int((before[0] - result.num_lit) * after[0])
        yield identity("C18", "for one image all are at work, but for the weights behind its black pixels",
                       np.min(result.not_zero.sum(axis=1)), exactly(int(result.counts.sum()) - dark),
                       "components that are not 0, fewest", "pull x a, and no pull is 0")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    label = int(result.shown.targets.argmax())
    return (
        f"Four equations give all {result.counts.sum():,} components of the gradient, within {result.errors.max():.0e} "
        f"of jax.grad in {settings.num_seeds} networks. For training image {result.row}, a {label}, "
        f"{result.not_zero[0].sum():,} of them are not 0: {result.not_zero[0, 0]:,} of {result.counts[0].sum():,} in "
        "the first layer, all in the others."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure | Page]:
    text = drawn.text(result, finding(result, settings))
    return {"equations": drawn.four(result), "equations.txt": Page("", text.encode())}
