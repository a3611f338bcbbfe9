"""How is the blame shared out among biases, weights and layers, and does it land on the layer that is at fault?

Four questions of the film's readers, on the film's network and real images. How are the avenues balanced: which share
of the first-order improvement do the weights and the biases of each layer carry, through training? Should w be updated
with v held constant, or both at once? How can one be sure that it was not the last layer's fault alone: if the weights
of one layer of a trained network are shuffled, where does the gradient grow, and which single layer can repair it? Do
the hidden weights change at all, or only the activations?

Run:     python -m experiments.avenues_and_blame [--quick | --full]
Time:    default 11 s, --quick 9 s, --full 3 min on 2 cores, compilation included
Result:  nobody sets the balance: the first layer carries 1.9 % of the improvement at the start, the last 92 %;
         ten epochs later 84 % and 4 %. Old or new v: the same curve; all slopes taken beforehand, the order of moving
         the layers is free, to the last bit. 11,930 parameters change, all but the 16 x 67 weights of pixels that are
         black in every image. The blame is NOT simply where the damage is: the share of the last layer grows most,
         whichever is damaged (the damaged one's in 35 % of cases). Damage in the first layer is best repaired there,
         in all of 20 seeds; in the last, nearly as well by any layer (--full)
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import avenues_and_blame as figures
from research import backprop, gradients, training
from research.data import Examples
from research.models import Layer
from research.training import TrainState

NAME = Path(__file__).stem
RATES = np.logspace(-4, 0, 9)  # learning rates of the single steps that are looked at as they get smaller
SMALL = RATES <= 1e-2  # where only the first order is left
NUM_WATCHED = 100  # images whose activations are predicted
WAYS = ("all layers at once", "the last layer first, the others with its new weights", "the last layer alone")


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the accounts."""

    learning_rate: float = 2.0
    """Learning rate of all descents, above 0."""
    batch_size: int = 100
    """Examples in a mini-batch, 1 up to all."""
    num_legs: int = 12
    """How often a training is looked at, 1 or more."""
    steps_per_leg: int = 100
    """Mini-batch steps between two looks, 1 or more."""
    repair_steps: int = 100
    """Steps in which one layer alone may repair the damage, 1 or more."""
    num_examples: int = 5000
    """Training images, from the first on, on which costs and gradients are looked at; 1 up to all of them."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rate", [self.learning_rate])
        for name in ("batch_size", "num_legs", "steps_per_leg", "repair_steps", "num_examples"):
            value = getattr(self, name)
            common.require(value >= 1, f"--{name.replace('_', '-')} is {value}; it must be 1 or more")


FILM = (Settings.cost, Settings.activation, Settings.output_activation)
QUICK = Settings(num_seeds=2, num_legs=6, num_examples=2000)
FULL = Settings(num_seeds=20, num_legs=60, num_examples=20_000)

Step = training.Step
Numbers = Array | np.ndarray  # as computed, or as read back for the figures


class Story(NamedTuple):
    """What happened to one seed's network; over all seeds, every array leads with a seed axis."""

    shares: Numbers  # looks, layers, 2; of |G|^2 in the weights and the biases
    num_changed: Numbers  # components of the gradient over all images that are not zero, at the start
    costs: Numbers  # ways, looks
    blame: Numbers  # damaged layer, layer; log2 of the layer's share of |G|^2 over its share before the damage
    repaired: Numbers  # damaged layer, the one layer that may learn; share of the damage that is undone


class SmallSteps(NamedTuple):
    """One step from the start, for every learning rate: three errors of the first order, and whether the order in which
    the layers move counts; over seeds with a seed axis."""

    decrease: Numbers  # |1 - actual / predicted decrease of the cost|
    updates: Numbers  # |dw with the old v - dw with the new v| / |dw|
    activations: Numbers  # |change of all activations - J dtheta| / |change|
    order: Numbers  # largest difference between parameters: all layers moved at once, or one after another


# Descents in which some layers rest.


def go(params: list[Layer], grads: list[Layer], rate: Array | float, free: Array) -> list[Layer]:
    """params - rate * grads in the layers where `free` (layers) is 1; where it is 0 a layer rests."""
    return [
        jax.tree.map(lambda p, g, f=f: p - rate * f * g, layer, slopes)
        for layer, slopes, f in zip(params, grads, free, strict=True)
    ]


def at_once(objective: Callable, rate: float, free: Array) -> Step:
    """All partial derivatives at the same point, then one step of the free layers together: the film's."""

    def step(state: TrainState, batch: Examples) -> tuple[TrainState, Array]:
        cost, grads = jax.value_and_grad(objective)(state.params, batch)
        return TrainState(go(state.params, grads, rate, free), ()), cost

    return step


def last_first(objective: Callable, rate: float, last: Array) -> Step:
    """First a step of the last layer, v; then one of all others, w, with their slopes taken at the new v."""

    def step(state: TrainState, batch: Examples) -> tuple[TrainState, Array]:
        cost, grads = jax.value_and_grad(objective)(state.params, batch)
        with_new_v = go(state.params, grads, rate, last)
        return TrainState(go(with_new_v, jax.grad(objective)(with_new_v, batch), rate, 1 - last), ()), cost

    return step


def batches(key: Array, settings: Settings, num_examples: int, num_steps: int) -> Array:
    """Rows of `num_steps` mini-batches, as many epochs of fresh shuffles as that takes: (steps, batch)."""
    num_epochs = -(-num_steps // (num_examples // settings.batch_size))
    schedule = training.shuffled_schedule(key, num_examples, settings.batch_size, num_epochs)
    return schedule.reshape(-1, settings.batch_size)[:num_steps]


# The accounts.


def squares(grads: list[Layer]) -> Array:
    """|g|^2 of the weights and of the biases of every layer: (layers, 2)."""
    return jnp.stack([jnp.stack([jnp.sum(weights**2), jnp.sum(biases**2)]) for weights, biases in grads])


def shares(grads: list[Layer]) -> Array:
    """Which share of the first-order improvement, |G|^2 per unit of the learning rate, each group carries."""
    return squares(grads) / squares(grads).sum()


def damaged(params: list[Layer], key: Array) -> list[Layer]:
    """For every layer, the network with the weights of that layer shuffled: every leaf gains a leading layer axis."""
    shuffled = [jax.random.permutation(jax.random.fold_in(key, i), p.weights.ravel()) for i, p in enumerate(params)]
    networks = [
        [
            layer._replace(weights=weights.reshape(layer.weights.shape)) if index == at_fault else layer
            for index, (layer, weights) in enumerate(zip(params, shuffled, strict=True))
        ]
        for at_fault in range(len(params))
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)


def blame_and_repair(
    settings: Settings, problem: Problem, params: list[Layer], shared: tuple[Examples, Examples], key: Array
) -> tuple[Array, Array]:
    """(blame, repaired) as in `Story`."""
    train, few = shared
    damage_key, shuffle_key = jax.random.split(key)
    objective = gradients.mean_over_examples(problem.example_cost)
    rows = batches(shuffle_key, settings, len(train.inputs), settings.repair_steps)
    layers = jnp.eye(len(params))
    broken = damaged(params, damage_key)

    def look(params: list[Layer]) -> tuple[Array, Array]:
        cost, grads = jax.value_and_grad(problem.cost)(params, few)
        return cost, shares(grads).sum(axis=1)

    def repair(params: list[Layer], free: Array) -> Array:
        step = at_once(objective, settings.learning_rate, free)
        state, _ = training.minibatch_descent(step, TrainState(params, ()), train, rows[None], lambda _: ())
        return problem.cost(state.params, few)

    everything = jax.tree.map(lambda leaves, leaf: jnp.concatenate([leaves, leaf[None]]), broken, params)
    costs, share = jax.lax.map(look, everything)  # the last one is the whole network's
    mended = jax.lax.map(lambda params: jax.lax.map(partial(repair, params), layers), broken)
    harm = (costs[:-1] - costs[-1])[:, None]
    return jnp.log2(share[:-1] / share[-1:]), (costs[:-1, None] - mended) / harm


def tell(
    settings: Settings, problem: Problem, params: list[Layer], key: Array, shared: tuple[Examples, Examples]
) -> Story:
    """Trains one seed's network in three ways from one start, keeps the accounts, then damages the first."""
    train, few = shared
    shuffle_key, blame_key = jax.random.split(key)
    rows = batches(shuffle_key, settings, len(train.inputs), settings.num_legs * settings.steps_per_leg)
    schedule = rows.reshape(settings.num_legs, settings.steps_per_leg, settings.batch_size)
    objective = gradients.mean_over_examples(problem.example_cost)
    everyone, last = jnp.ones(len(params)), jnp.eye(len(params))[-1]
    start = TrainState(params, ())

    def look(state: TrainState) -> tuple[Array, Array]:
        cost, grads = jax.value_and_grad(problem.cost)(state.params, few)
        return cost, shares(grads)

    def follow(step: Step) -> tuple[list[Layer], tuple[Array, Array]]:
        end, history = training.minibatch_descent(step, start, train, schedule, look)
        return end.params, history.observed

    def free_at_once(free: Array) -> tuple[list[Layer], tuple[Array, Array]]:
        return follow(at_once(objective, settings.learning_rate, free))

    # one program for two of the ways: what is compiled once need not be compiled again
    ends, (costs, share) = jax.lax.map(free_at_once, jnp.stack([everyone, last]))
    costs_last_first = follow(last_first(objective, settings.learning_rate, last))[1][0]
    cost_at_start, share_at_start = look(start)
    changed = ravel_pytree(jax.grad(problem.cost)(params, train))[0] != 0
    end = jax.tree.map(lambda leaf: leaf[0], ends)
    blame, repaired = blame_and_repair(settings, problem, end, shared, blame_key)
    ways = jnp.stack([costs[0], costs_last_first, costs[1]])
    return Story(
        shares=jnp.concatenate([share_at_start[None], share[0]]),
        num_changed=changed.sum(),
        costs=jnp.concatenate([jnp.full((len(ways), 1), cost_at_start), ways], axis=1),
        blame=blame,
        repaired=repaired,
    )


def small_steps(cost: Callable, activations: Callable, params: list[Layer], few: Examples) -> SmallSteps:
    """What one step does as the learning rate gets smaller; `activations(params)` are watched.

    w is the first layer and v the last: dw is the change of w in one step, with v as it was or already moved.
    """
    layers = jnp.eye(len(params))
    orders = jnp.stack([layers, layers[::-1]])  # first to last, last to first
    before, grads = jax.value_and_grad(cost)(params, few)
    steepness = squares(grads).sum()

    def of_rate(rate: Array) -> SmallSteps:
        moved = go(params, grads, rate, jnp.ones(len(params)))
        with_new_v = go(params, grads, rate, layers[-1])
        dw = ravel_pytree(grads[0])[0]
        dw_with_new_v = ravel_pytree(jax.grad(cost)(with_new_v, few)[0])[0]
        steps = jax.tree.map(lambda slope: -rate * slope, grads)
        seen, predicted = jax.jvp(activations, (params,), (steps,))
        change = activations(moved) - seen

        def apart(order: Array) -> Array:
            in_turn = jax.lax.scan(lambda params, free: (go(params, grads, rate, free), None), params, order)[0]
            return jnp.max(jnp.abs(ravel_pytree(in_turn)[0] - ravel_pytree(moved)[0]))

        return SmallSteps(
            decrease=jnp.abs(1 - (before - cost(moved, few)) / (rate * steepness)),
            updates=jnp.linalg.norm(dw - dw_with_new_v) / jnp.linalg.norm(dw),
            activations=jnp.linalg.norm(change - predicted) / jnp.linalg.norm(change),
            order=jnp.max(jax.lax.map(apart, orders)),
        )

    return jax.lax.map(of_rate, jnp.array(RATES))


def measure_small_steps(settings: Settings, problem: Problem, few: Examples, starts: list[Layer]) -> SmallSteps:
    """`small_steps` for every seed, in float64."""
    functions = common.activations(settings)

    def of_seed(params: list[Layer], few: Examples) -> SmallSteps:
        def activations(params: list[Layer]) -> Array:
            def of_one(inputs: Array) -> Array:
                return jnp.concatenate(backprop.feed_forward(params, inputs, *functions).activations[1:])

            return jax.vmap(of_one)(few.inputs[:NUM_WATCHED])

        return small_steps(problem.cost, activations, params, few)

    params = jax.tree.map(np.asarray, starts)
    with jax.enable_x64(True):
        wide = Examples(jnp.asarray(np.asarray(few.inputs) / 255.0), jnp.asarray(np.asarray(few.targets), float))
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)
        return jax.tree.map(np.asarray, jax.jit(runs.over_seeds(of_seed, (0, None)))(params, wide))


# What comes of it.


def expected_changes(problem: Problem, starts: list[Layer]) -> tuple[int, int]:
    """(How many parameters can change, how many there are): all but the weights of pixels black in every image."""
    num_black = int((np.asarray(problem.train.inputs) == 0).all(axis=0).sum())
    num_parameters = sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(starts))
    return num_parameters - num_black * starts[0].biases.shape[-1], num_parameters


def slope_of(errors: Numbers) -> float:
    """The log-log slope against the learning rate that is furthest from 1 among the seeds."""
    slopes = [np.polyfit(np.log(RATES[SMALL]), np.log(error[SMALL]), 1)[0] for error in np.asarray(errors)]
    return float(max(slopes, key=lambda slope: abs(slope - 1)))


def hits(matrices: Numbers) -> np.ndarray:
    """(seeds, damaged layers): whether the largest entry of the damaged layer's row is its own."""
    return np.asarray(matrices).argmax(axis=2) == np.arange(matrices.shape[1])


def rises(blame: Numbers) -> np.ndarray:
    """(seeds, damaged layers): whether the damaged layer's own share of |G|^2 is above what it was before."""
    return np.diagonal(np.asarray(blame), axis1=1, axis2=2) > 0


def make_claims(settings: Settings, story: Story, steps: SmallSteps, num_expected: int) -> list[Claim]:
    """Every claim with its bounds, which come from theory and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    sums = story.shares.sum(axis=(2, 3))
    found = [
        claim("C3", "the shares of weights and biases of all layers add up to the whole improvement",
              float(np.max(np.abs(sums - 1))), 0.0, 0.0, 1e-5, "largest distance from 1"),
        claim("C3", f"at a learning rate of {RATES[0]:g} the cost sinks by what these shares promise",
              1 - float(np.max(steps.decrease[:, 0])), 1.0, 0.999, 1.001, "actual / predicted"),
        claim("C3", "and the difference shrinks with the learning rate", slope_of(steps.decrease),
              1.0, 0.9, 1.1, "slope, log-log"),
        claim("C2", "w updated with the old or with the new v: the difference shrinks with the learning rate",
              slope_of(steps.updates), 1.0, 0.9, 1.1, "slope, log-log"),
        claim("C23", "all slopes taken beforehand, the order of applying them, first layer to last or back, is free",
              float(np.max(steps.order)), 0.0, 0.0, 1e-15, "largest difference between parameters, float64"),
    ]  # fmt: skip
    if settings.activation == Settings.activation:  # with others, such as ReLU, neurons may sleep, and wake in a jump
        found += [
            claim("C13", "the activations change by what the changed weights and biases make of them, to first order",
                  slope_of(steps.activations), 1.0, 0.9, 1.1, "slope of the error, log-log"),
            claim("C13", "every parameter changes but the weights of pixels that are black in every image",
                  float(np.min(story.num_changed)), num_expected, num_expected, num_expected, "parameters, fewest"),
        ]  # fmt: skip
    if (settings.cost, settings.activation, settings.output_activation) == FILM:  # --learning-rate is meant for these
        found += [
            claim("C11", "the share of |G|^2 of a damaged layer rises above what it was before the damage",
                  100 * float(rises(story.blame).mean()), 100.0, 80.0, 100.0, "% of seeds and layers"),
            claim("C11", "the share of |G|^2 of a damaged layer rises more than that of any other layer",
                  100 * float(hits(story.blame).mean()), None, 80.0, 100.0, "% of seeds and layers"),
            claim("C11", "a damaged layer is repaired best when it is itself the one layer that may learn",
                  100 * float(hits(story.repaired).mean()), None, 80.0, 100.0, "% of seeds and layers"),
            claim("C11", "training the last layer alone ends at a higher cost than training all layers",
                  float(np.min(story.costs[:, 2, -1] / story.costs[:, 0, -1])), None, 1.0, None,
                  "smallest ratio of costs"),
        ]  # fmt: skip
    return found


def sentence(story: Story, num_expected: int, num_parameters: int) -> str:
    """What was found, in one sentence."""
    by_layer = np.mean(story.shares.sum(axis=3), axis=0)
    own = ", ".join(f"{share:.0%}" for share in hits(story.repaired).mean(axis=0))
    return (
        f"The last layer carries {by_layer[0, -1]:.0%} of the improvement at the start and {by_layer[-1, -1]:.0%} "
        f"after training, the first {by_layer[0, 0]:.1%} and {by_layer[-1, 0]:.0%}. A damaged layer's share rises in "
        f"{rises(story.blame).mean():.0%} of cases, most of all layers' in {hits(story.blame).mean():.0%}, and it is "
        f"its own best repair in {hits(story.repaired).mean():.0%} ({own} for layer 1, 2, ...); {num_expected:,} of "
        f"{num_parameters:,} parameters change."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train, test = common.load(settings)
    for flag, number in (("--batch-size", settings.batch_size), ("--num-examples", settings.num_examples)):
        common.require_images(settings, flag, number, train)
    problem = descents.problem_of(settings, train, test)
    few = common.first(problem.train, settings.num_examples)
    init_keys, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    told = jax.jit(runs.over_seeds(partial(tell, settings, problem), (0, 0, None)))
    starts = descents.starts(problem, init_keys)
    story = jax.tree.map(np.asarray, told(starts, keys, (problem.train, few)))
    bad = ~np.isfinite(story.costs).all(axis=(0, 1))
    if bad.any():
        raise runs.Diverged("training", settings.steps_per_leg * int(bad.argmax()))
    steps = measure_small_steps(settings, problem, few, starts)
    num_expected, num_parameters = expected_changes(problem, starts)
    claims, finding = make_claims(settings, story, steps, num_expected), sentence(story, num_expected, num_parameters)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {**story._asdict(), **steps._asdict()},
        **records.describe_data(settings.dataset, train=train),
        finding=finding,
    )


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.avenues_figure(record, arrays, RATES), out / NAME / "avenues.png")
    cases = (rises(arrays["blame"]), hits(arrays["blame"]), hits(arrays["repaired"]))
    shares_of_cases = [float(found.mean()) for found in cases]
    plots.save(figures.blame_figure(record, arrays, WAYS, *shares_of_cases), out / NAME / "blame.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.avenues_and_blame"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
