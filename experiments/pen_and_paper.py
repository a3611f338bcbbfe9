"""Can backpropagation be followed with a pencil?

A traffic light seen through six pixels, three neurons in the middle, one output that says STOP: 25 parameters. Every
multiplication of one pass forward and one pass backward, of one step, and of the answer after it, as plain text. Each
number is rounded to four decimals BEFORE it is used again, so that every printed product and sum checks out to the
last printed digit. Then the same network learns all eight patterns of three lamps. The traffic light is its own data
set and its neurons are sigmoids: --dataset, --layer-sizes and the activations change nothing here.

Run:     python -m experiments.pen_and_paper [--quick | --full]
Time:    default 5 s, --quick 5 s, --full 9 s on 2 cores, compilation included
Result:  yes: none of the 25 components is further than 0.00006 from jax.grad, one step takes the cost from 0.2684 to
         0.1049; trained on all eight patterns the network answers all of them in 20 of 20 seeds (--full)
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from experiments.common import records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from research import costs, gradients, models, training
from research.data import Examples
from research.models import Layer
from research.training import TrainState

NAME = Path(__file__).stem
LAMPS = ("red", "amber", "green")
LIT, DARK = ("0.9", "0.8"), ("0.1", "0.0")  # a lamp's left and right pixel
NAMES = (
    [f"{lamp} {side}" for lamp in LAMPS for side in ("left", "right")],
    [f"middle {number}" for number in (1, 2, 3)],
    ["output"],
)
MODEL = models.mlp((6, 3, 1), init_weights=models.unit_normal, init_biases=models.unit_normal)


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the traffic light."""

    seed: int = 2
    """Seed of the start, 0 or more; with 2 no number on the way is too small to be worth writing down."""
    num_seeds: int = 5
    """How many starts are trained on all patterns, 1 or more; the first is the one followed by pencil."""
    lamps: tuple[str, ...] = ("red",)
    """Which lamps are lit in the pattern that is followed by pencil, any of red, amber, green."""
    step_size: float = 2.0
    """Learning rate of the one step by pencil, above 0, at most 1000."""
    num_steps: int = 4000
    """Full-batch steps of the training on all patterns, 1 or more."""
    learning_rate: float = 4.0
    """Learning rate of the training, above 0."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        for lamp in self.lamps:
            common.require(lamp in LAMPS, f"--lamps has {lamp}; choose among {', '.join(LAMPS)}")
        common.require(0 < self.step_size <= 1000, f"--step-size is {self.step_size}; it must be above 0, at most 1000")
        common.check_positive("--learning-rate", [self.learning_rate])
        common.require(self.num_steps >= 1, f"--num-steps is {self.num_steps}; it must be 1 or more")


QUICK = Settings(num_seeds=2)
FULL = Settings(num_seeds=20)


# Numbers as they stand on paper.


Row = list[Decimal]  # a neuron's parameters: its weights, then its bias, the weight of a "neuron" that is always 1
ONE = Decimal("1")


def on_paper(number, decimals: int = 4) -> Decimal:
    """The number as it is written down, and used from then on.

    >>> on_paper(2 / 3), on_paper(-0.00001)
    (Decimal('0.6667'), Decimal('0.0000'))
    """
    return Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP) + 0  # + 0 turns -0.0000 into 0.0000


def sigma(z: Decimal) -> Decimal:
    """The sigmoid, 1 / (1 + exp(-z)), on paper.

    >>> sigma(Decimal("0.0000"))
    Decimal('0.5000')
    """
    return on_paper(1 / (1 + (-z).exp()))


def paper_rows(params: list[Layer]) -> list[list[Row]]:
    """The parameters with two decimals: for every layer a row for every neuron."""
    tables = [np.column_stack(layer) for layer in params]
    return [[[on_paper(float(number), decimals=2) for number in row] for row in table] for table in tables]


def as_params(layers: list[list[Row]]) -> list[Layer]:
    """The numbers on paper as the network's parameters."""
    tables = [jnp.array(np.array(rows, np.float32)) for rows in layers]
    return [Layer(weights=table[:, :-1], biases=table[:, -1]) for table in tables]


def pixels_of(lamps: Sequence[str]) -> list[Decimal]:
    """Six grey levels: two pixels for each lamp, the left one brighter.

    >>> [str(pixel) for pixel in pixels_of(["red"])]
    ['0.9', '0.8', '0.1', '0.0', '0.1', '0.0']
    """
    return [Decimal(pixel) for lamp in LAMPS for pixel in (LIT if lamp in lamps else DARK)]


def stop(lamps: Sequence[str]) -> int:
    """1 for STOP, 0 for go: one may go when green alone is lit; anything else, also a light that is broken, is STOP.

    >>> stop(["green"]), stop(["red", "amber"]), stop([])
    (0, 1, 1)
    """
    return int(list(lamps) != ["green"])


# The text. Every function returns the numbers that the next section needs, and its lines.


def multiply(a: Decimal, b: Decimal, name: str) -> tuple[Decimal, str]:
    """One multiplication and its line."""
    return on_paper(a * b), f"{a:>10} x {b:>7} = {on_paper(a * b):>8}   {name}"


def multiply_all(left: Sequence[Decimal], right: Sequence[Decimal], names: Sequence[str]) -> tuple[Row, list[str]]:
    """One multiplication for every name, each on its line."""
    made = [multiply(*each) for each in zip(left, right, names, strict=True)]
    return [number for number, _ in made], [line for _, line in made]


def forward(layers: list[list[Row]], pixels: Row) -> tuple[list[Row], list[str]]:
    """The activations of all layers, the pixels first."""
    activations, lines = [pixels], []
    for rows, names, before in zip(layers, NAMES[1:], NAMES, strict=False):
        answers = []
        for name, row in zip(names, rows, strict=True):
            products, written = multiply_all(row, [*activations[-1], ONE], [*before, "bias"])
            z = sum(products, Decimal(0))
            answers.append(sigma(z))
            lines += [f"{name}:   weight x activation before it", *written, f"{'':>23}--------"]
            lines += [f"{'z':>20} = {z:>8}   the sum", f"{f'sigma({z})':>20} = {answers[-1]:>8}   a", ""]
        activations.append(answers)
    return activations, lines


def pulls(names: list[str], wishes: Row, activations: Row) -> tuple[Row, list[str]]:
    """wish x slope for every neuron; the slope of the sigmoid is a x (1 - a)."""
    slopes, slope_lines = multiply_all(activations, [1 - a for a in activations], [f"slope of {n}" for n in names])
    found, pull_lines = multiply_all(wishes, slopes, [f"pull on {name}" for name in names])
    return found, ["slope = a x (1 - a)", *slope_lines, "pull = wish x slope", *pull_lines, ""]


def requests(names: list[str], pulled: Row, seen: Row, before: list[str]) -> tuple[list[Row], list[str]]:
    """pull x activation for every weight, pull x 1 for the bias: a row for every neuron."""
    rows, lines = [], []
    for name, pull in zip(names, pulled, strict=True):
        row, written = multiply_all([pull] * (len(seen) + 1), [*seen, ONE], [*before, "bias"])
        rows.append(row)
        lines += [f"{name} asks its weights and its bias:   pull x activation before it", *written, ""]
    return rows, lines


def columns(names: list[str], pulled: Row, rows: list[Row], before: list[str]) -> tuple[Row, list[str]]:
    """pull x weight, what every neuron wants from the layer before; summed over neurons, that layer's wishes."""
    found, lines = [], []
    for name, pull, row in zip(names, pulled, rows, strict=True):
        column, written = multiply_all([pull] * len(before), row[:-1], before)
        found.append(column)
        lines += [f"{name} asks the layer before it, its column:   pull x weight", *written, ""]
    if len(found) == 1:
        return found[0], [*lines[:-1], "one column alone, so these are the wishes of the layer before it", ""]
    addends = list(zip(*found, strict=True))
    lines += ["added together, row by row:"]
    wishes = [sum(each, Decimal(0)) for each in addends]
    for name, wish, each in zip(before, wishes, addends, strict=True):
        lines += [f"    {' + '.join(f'{addend:>7}' for addend in each)} = {wish:>7}   wish of {name}"]
    return wishes, [*lines, ""]


def step_of_neuron(row: Row, wanted: Row, step_size: Decimal, labels: list[str]) -> tuple[Row, list[str]]:
    """The neuron's parameters after the step, which goes against the gradient; the gradient is minus the request."""
    moved, lines = [], []
    for old, request, label in zip(row, wanted, labels, strict=True):
        slope = -request + 0  # + 0 turns -0.0000 into 0.0000
        change = on_paper(-step_size * slope)
        moved.append(old + change)
        lines += [f"{-step_size:>10} x {slope:>7} = {change:>8}   {old:>5} + {change:>7} = {moved[-1]:>7}   {label}"]
    return moved, lines


def step(layers: list[list[Row]], asked: list[list[Row]], step_size: Decimal) -> tuple[list[list[Row]], list[str]]:
    """All parameters after one step, and the 25 components of the gradient on the way."""
    after, lines = [], []
    for rows, wanted, names, before in zip(layers, asked, NAMES[1:], NAMES, strict=False):
        after.append([])
        for row, row_wanted, name in zip(rows, wanted, names, strict=True):
            moved, written = step_of_neuron(row, row_wanted, step_size, [*before, "bias"])
            after[-1].append(moved)
            lines += [f"{name}:   -rate x gradient = change;   old + change = new", *written, ""]
    return after, lines


def opening(lamps: Sequence[str]) -> list[str]:
    """What is seen, what should be answered, and how to read the rest."""
    left, right = pixels_of(lamps)[::2], pixels_of(lamps)[1::2]
    wanted = "STOP: the output should be 1" if stop(lamps) else "go: the output should be 0"
    return [
        "A traffic light in six pixels                left right",
        *(f"{lamp:>41}    {a}   {b}" for lamp, a, b in zip(LAMPS, left, right, strict=True)),
        f"Lit: {', '.join(lamps) or 'nothing'}. {wanted}.",
        "",
        "Every product is rounded to four decimals before it is used again: products and sums check out.",
        "sigma(z) = 1 / (1 + exp(-z)). A bias is the weight of an activation that is always 1.",
        "",
    ]


class Trace(NamedTuple):
    """The whole text, and the numbers that it arrives at."""

    text: str
    asked: list[list[Row]]  # the requests: minus the gradient
    cost: Decimal
    new_cost: Decimal


def cost_and_wish(answer: Decimal, target: int, cost_fn: Callable) -> tuple[Decimal, Decimal, list[str]]:
    """The cost and -dC/da of the output: multiplied out for the film's cost, else the numbers alone."""
    if cost_fn is not costs.sum_of_squares:
        a, y = jnp.array([float(answer)]), jnp.array([float(target)])
        cost, slope = jax.value_and_grad(cost_fn)(a, y)
        cost, wish = on_paper(float(cost)), on_paper(-float(slope[0]))
        return cost, wish, [f"{cost:>31}   cost", f"{wish:>31}   wish of output, minus the slope of the cost", ""]
    distance = target - answer
    cost, cost_line = multiply(distance, distance, "cost = distance x distance")
    wish, wish_line = multiply(Decimal(2), distance, "wish of output = 2 x distance: the way to lower the cost")
    return cost, wish, [f"distance = target - answer = {target} - {answer} = {distance}", cost_line, wish_line, ""]


def trace(layers: list[list[Row]], lamps: Sequence[str], step_size: Decimal, cost_fn: Callable) -> Trace:
    """One pass forward, one backward, one step, and the answer after it, for one pattern of lamps."""
    target = stop(lamps)
    seen, answer_lines = forward(layers, pixels_of(lamps))
    cost, wish, cost_lines = cost_and_wish(seen[2][0], target, cost_fn)
    output_pull, output_pull_lines = pulls(NAMES[2], [wish], seen[2])
    output_asks, output_lines = requests(NAMES[2], output_pull, seen[1], NAMES[1])
    wishes, column_lines = columns(NAMES[2], output_pull, layers[1], NAMES[1])
    middle_pull, middle_pull_lines = pulls(NAMES[1], wishes, seen[1])
    middle_asks, middle_lines = requests(NAMES[1], middle_pull, seen[0], NAMES[0])
    _, pixel_lines = columns(NAMES[1], middle_pull, layers[0], NAMES[0])
    asked = [middle_asks, output_asks]
    after, step_lines = step(layers, asked, step_size)
    seen_after, after_lines = forward(after, pixels_of(lamps))
    new_cost, _, new_cost_lines = cost_and_wish(seen_after[2][0], target, cost_fn)
    sections = {
        "1. The answer": answer_lines,
        "2. The cost, and what the output wishes": cost_lines,
        "3. The output's pull": output_pull_lines,
        "4. Its three avenues: bias and weights": output_lines,
        "5. and the activations before it: what the middle neurons should do": column_lines,
        "6. The same, one layer further back: the pulls": middle_pull_lines,
        "7. The middle neurons' avenues: biases and weights": middle_lines,
        "8. and the pixels: what would help, though nothing can move them": pixel_lines,
        "9. The 25 components of the gradient are minus the requests; one step against them": step_lines,
        "10. The answer after the step": after_lines,
        "11. The cost after the step": [*new_cost_lines[:-1], f"the cost was {cost} and is {new_cost}", ""],
    }
    body = [line for title, lines in sections.items() for line in (title, "=" * len(title), "", *lines)]
    text = "\n".join([*opening(lamps), *body])
    return Trace(text, asked, cost, new_cost)


# The same network in JAX: the gradient, and learning all patterns.


def patterns() -> Examples:
    """All eight patterns of three lamps, with 1 for STOP and 0 for go."""
    lit = [lamps for count in range(4) for lamps in itertools.combinations(LAMPS, count)]
    inputs = np.array([pixels_of(lamps) for lamps in lit], np.float32)
    return Examples(jnp.array(inputs), jnp.array([[stop(lamps)] for lamps in lit], jnp.float32))


def says_the_right(output: jax.Array, target: jax.Array) -> jax.Array:
    """Whether the one output is on its target's side of 1/2."""
    return (output[0] > 0.5) == (target[0] > 0.5)


def largest_difference(written: Trace, layers: list[list[Row]], lamps: Sequence[str], cost_fn: Callable) -> float:
    """Between the 25 components on paper and those of jax.grad at the same parameters."""
    inputs = jnp.array(np.array(pixels_of(lamps), np.float32))
    one = gradients.example_cost(MODEL.apply, cost_fn)
    by_jax = jax.grad(one)(as_params(layers), Examples(inputs, jnp.array([stop(lamps)], jnp.float32)))
    difference = ravel_pytree(by_jax)[0] + ravel_pytree(as_params(written.asked))[0]
    return float(jnp.abs(difference).max())


def train(settings: Settings, cost_fn: Callable) -> tuple[np.ndarray, np.ndarray]:
    """(cost at every step, accuracy on the eight patterns at the end), for every seed."""
    objective = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, cost_fn))
    accuracy = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, says_the_right))
    optimizer = optax.sgd(settings.learning_rate)
    examples, descent = patterns(), training.make_step(objective, optimizer)

    def one_seed(key):
        params = MODEL.init(key)
        state = TrainState(params, optimizer.init(params))
        state, history = training.full_batch_descent(descent, state, examples, 1, settings.num_steps, lambda _: ())
        return history.costs[0], accuracy(state.params, examples)

    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    found = jax.jit(jax.vmap(one_seed))(init_keys)
    return np.asarray(found[0]), np.asarray(found[1])


def make_claims(settings: Settings, difference: float, written: Trace, accuracy: np.ndarray) -> list[Claim]:
    """Bounds: a component is made of some ten roundings by at most 0.00005 each."""
    claims = [
        Claim("C27", "by pencil, with four decimals, each of the 25 components of the gradient is jax.grad's",
              difference, 0.0, 0.0, 5e-4, "largest difference", 1),
    ]  # fmt: skip
    if settings.cost == Settings.cost:
        lowered = float(written.cost - written.new_cost)
        claims += [
            Claim("C27", "and one step by pencil lowers the cost", lowered, None, 0.0, float(written.cost), "cost", 1),
            Claim("C15", "six pixels, three neurons in the middle and one output learn all eight patterns",
                  float(accuracy.min()), 1.0, 1.0, 1.0, "smallest accuracy", settings.num_seeds),
        ]  # fmt: skip
    return claims


def run(settings: Settings) -> None:
    """Writes the pass by pencil, holds it against jax.grad, then trains on all patterns."""
    cost_fn = common.cost_function(settings)
    common.check_cost(cost_fn, MODEL, patterns())
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    layers = paper_rows(MODEL.init(init_keys[0]))
    lamps = [lamp for lamp in LAMPS if lamp in settings.lamps]
    written = trace(layers, lamps, Decimal(str(settings.step_size)), cost_fn)
    difference = largest_difference(written, layers, lamps, cost_fn)
    curves, accuracy = train(settings, cost_fn)
    bad = ~np.isfinite(curves).all(axis=0)
    if bad.any():
        raise runs.Diverged("training on all patterns", int(bad.argmax()))
    finding = (
        f"By pencil no component of the gradient is further than {difference:.5f} from jax.grad; one step changes the "
        f"cost from {written.cost} to {written.new_cost}; trained on all eight patterns, the network answers all of "
        f"them in {int((accuracy == 1).sum())} of {settings.num_seeds} seeds."
    )
    claims = make_claims(settings, difference, written, accuracy)
    facts = {"dataset": {"name": "traffic light", "train": {"count": 8}}, "finding": finding}
    records.write_run(settings.out / NAME, settings, claims, {"costs": curves, "accuracy": accuracy}, **facts)
    text = f"{written.text}\n{finding}\n"
    records.write_whole(settings.out / NAME / "trace.txt", lambda file: file.write(text.encode()))
    records.print_claims(claims)


def plot(out: Path) -> None:
    """Prints the text: here it is the figure."""
    records.read_run(out / NAME)
    print((out / NAME / "trace.txt").read_text())
    print(f"trace.txt and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.pen_and_paper"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
