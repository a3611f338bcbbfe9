"""Is the blame put on the layer that is at fault, and who can repair it?

How can one be sure, a reader asks, that it was not the last layer's fault alone? In a trained network the weights of
one layer are shuffled. Where does the gradient grow: each layer's share of |G|^2 after the damage against before. Then
one single layer alone may learn for some steps: which one undoes most of the damage? Then each layer's activations in
turn are put back to those of the undamaged network (activation patching): the first layer where that undoes all of it
is the one at fault. And from the start, how far does the last layer come alone, beside all layers together?

Run:     python -m experiments repair [--quick | --full]
Time:    default 9 s, --quick 8 s, --full 35 s on 2 cores, compilation included
Result:  the share of the last layer grows by the largest factor, whichever is damaged (59 of 60 cases); activation
         patching finds the damaged one in 60 of 60. The last alone ends at a cost of 0.87, all layers at 0.07.
"""

import dataclasses
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jax import Array
from jaxtyping import Float

from experiments.common import layer_descents, plots, runs
from experiments.common.claims import Claims, at_least, exactly, identity, prediction, within
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import layer_figures
from research import data, gradients, layerwise, patching, training
from research.backprop import Functions
from research.data import Examples
from research.models import Layer
from research.training import TrainState

PLAIN = "one layer after another is damaged and repaired"
WHY = (
    "wish: no theory says 80 %; the gradient does not know whose fault it is: the last layer's share, the smallest "
    "before, grows by the largest factor whichever layer is damaged, and damage in the last is repaired nearly as well "
    "by any layer; to put back one layer's activations after another decides it, but needs the undamaged network"
)


@dataclasses.dataclass(frozen=True)
class Settings(layer_descents.Settings):
    repair_steps: Annotated[int, Ge(1)] = 100
    """Steps in which one layer alone may repair the damage."""


QUICK = Settings(num_seeds=2, num_legs=6, num_looked_at=2000)
FULL = Settings(num_seeds=20, num_legs=60, num_looked_at=20_000)


class Result(NamedTuple):
    """Of the two layer axes the first is the damaged layer."""

    costs: Float[np.ndarray, "seeds 2 looks"]  # all layers at once; the last layer alone
    blame: Float[np.ndarray, "seeds layers layers"]  # log2 of the layer's share of |G|^2 over that before the damage
    repaired: Float[np.ndarray, "seeds layers layers"]  # the one that may learn; share of the damage that is undone
    patched: Float[np.ndarray, "seeds layers layers"]  # the one whose activations are put back; likewise
    sigmoids: bool  # whether all neurons are


def of_seed(
    settings: Settings, problem: Problem, params: list[Layer], key: Array, shared: tuple[Examples, Examples]
) -> tuple[Array, Array, Array, Array]:
    """(costs, blame, repaired, patched): trains one seed's network in both ways from one start, then damages the
    first."""
    train, few = shared
    shuffle_key, blame_key = jax.random.split(key)
    damage_key, repair_key = jax.random.split(blame_key)
    step = partial(layerwise.at_once, gradients.mean_over_examples(problem.example_cost), settings.learning_rate)
    rows = layerwise.batches(repair_key, len(train.inputs), settings.batch_size, settings.repair_steps)
    layers = jnp.eye(len(params))

    def trained(free: Array) -> tuple[list[Layer], Array]:
        return layer_descents.follow(
            settings, train, lambda params: problem.cost(params, few), step(free), params, shuffle_key
        )

    def look(params: list[Layer]) -> tuple[Array, Array]:
        cost, grads = jax.value_and_grad(problem.cost)(params, few)
        return cost, layerwise.shares(grads).sum(axis=1)

    def repair(params: list[Layer], free: Array) -> Array:
        start = TrainState(params, ())
        return problem.cost(
            training.minibatch_descent(step(free), start, train, rows[None], lambda _: ())[0].params, few
        )

    ends, costs = jax.lax.map(trained, jnp.stack([jnp.ones(len(params)), layers[-1]]))
    whole = data.take(ends, 0)
    broken = patching.damaged(whole, damage_key)
    cost, share = look(whole)
    broken_cost, broken_share = jax.lax.map(look, broken)
    mended = jax.lax.map(lambda params: jax.lax.map(partial(repair, params), layers), broken)
    functions = Functions(problem.cost_fn, *plain_layers(problem, PLAIN))
    patched = jax.lax.map(lambda params: patching.cost_when_patched(functions, params, whole, few), broken)
    undone = [(broken_cost[:, None] - better) / (broken_cost - cost)[:, None] for better in (mended, patched)]
    return costs, jnp.log2(broken_share / share[None]), *undone


def measure(problem: Problem, settings: Settings) -> Result:
    functions = plain_layers(problem, PLAIN)
    costs, blame, repaired, patched = layer_descents.every_seed(problem, settings, partial(of_seed, settings, problem))
    if np.isnan(repaired).any():
        raise runs.Diverged("repair", settings.repair_steps)
    return Result(costs, blame, repaired, patched, functions == (jax.nn.sigmoid, jax.nn.sigmoid))


def cases(result: Result) -> list[np.ndarray]:
    """(seeds, damaged layers): whether the damaged layer's own share of |G|^2 is above what it was before, whether it
    rises more than that of any other layer, whether this layer repairs itself best, and whether it is the first where
    putting back the activations undoes all of the damage."""
    own = np.arange(result.blame.shape[1])
    return [
        np.diagonal(result.blame, axis1=1, axis2=2) > 0,
        result.blame.argmax(axis=2) == own,
        result.repaired.argmax(axis=2) == own,
        (result.patched > 0.999).argmax(axis=2) == own,
    ]


def claims(result: Result, settings: Settings) -> Claims:
    if not (settings.has_films_cost and result.sigmoids):  # which the learning rate is meant for
        return
    rises, most, best, first = (100 * float(found.mean()) for found in cases(result))
    for says, measured in (
        ("the share of |G|^2 of a damaged layer rises above what it was before the damage", rises),
        ("the share of |G|^2 of a damaged layer rises more than that of any other layer", most),
        ("a damaged layer is repaired best when it is itself the one layer that may learn", best),
    ):
        yield prediction("C11", says, measured, within(80, 100), "% of seeds and layers", "a wish", WHY)
    yield identity("C11", "activation patching: the first layer that undoes all damage is the damaged one",
                   first, exactly(100), "% of seeds and layers",
                   "before it nothing differs, behind it everything follows from it")  # fmt: skip
    yield prediction("C11", "training the last layer alone ends at a higher cost than training all layers",
                     np.min(result.costs[:, 1, -1] / result.costs[:, 0, -1]), at_least(1), "smallest ratio of costs",
                     "fewer parameters may move")  # fmt: skip


def last_grows_most(result: Result) -> tuple[int, int]:
    """In how many cases the last layer's share of |G|^2 grows most, and of how many."""
    most = result.blame.argmax(axis=2) == result.blame.shape[2] - 1
    return int(most.sum()), most.size


def finding(result: Result, settings: Settings) -> str:
    most, of = last_grows_most(result)
    *_, best, first = cases(result)
    own = ", ".join(f"{seeds} (layer {layer})" for layer, seeds in enumerate(best.sum(axis=0), 1))
    at_once, alone = np.median(result.costs[:, :, -1], axis=0)
    return (
        f"Whichever layer is damaged, the last layer's share of the gradient grows by the largest factor, in {most} of "
        f"{of} cases: what grows most does not tell what is at fault. The damaged layer is its own best repair in "
        f"{own} of {len(best)} seeds; activation patching, with the undamaged network at hand, finds it in "
        f"{first.sum()} of {first.size} cases. Trained from the start, the last layer alone ends at a cost of "
        f"{alone:.2f}, all layers at {at_once:.2f} (medians)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    blame = layer_figures.blame(result, settings, *last_grows_most(result))
    return {"blame": blame, "last_alone": layer_figures.last_alone(result, settings)}
