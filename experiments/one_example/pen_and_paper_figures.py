"""The text of pen_and_paper: one pass forward, one backward, one step, every number rounded before it is used again.

Every function adds its lines to the text and returns the numbers that the next section needs.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research import costs
from research.models import Layer

LAMPS = ("red", "amber", "green")
LIT, DARK = ("0.9", "0.8"), ("0.1", "0.0")  # a lamp's left and right pixel
PIXELS = [f"{lamp} {side}" for lamp in LAMPS for side in ("left", "right")]
MIDDLE, OUTPUT = ["middle 1", "middle 2", "middle 3"], ["output"]
NEXT_TO = ((MIDDLE, OUTPUT), (PIXELS, MIDDLE))  # the neurons of both layers, and what lies before them
Row = list[Decimal]  # a neuron's parameters: its weights, then its bias, the weight of a "neuron" that is always 1
ONE = Decimal("1")


class Trace(NamedTuple):
    text: str
    nudges: list[list[Row]]  # of the 25 parameters: minus the gradient
    cost: Decimal
    new_cost: Decimal


def on_paper(number, decimals: int = 4) -> Decimal:
    """The number as it is written down, and used from then on.

    >>> on_paper(2 / 3), on_paper(-0.00001)
    (Decimal('0.6667'), Decimal('0.0000'))
    """
    return Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP) + 0  # + 0 turns -0.0000 into 0.0000


def paper_rows(params: list[Layer]) -> list[list[Row]]:
    """The parameters with two decimals: for every layer a row for every neuron."""
    tables = [np.column_stack(layer) for layer in params]
    return [[[on_paper(float(number), decimals=2) for number in row] for row in table] for table in tables]


def as_params(layers: list[list[Row]]) -> list[Layer]:
    """The numbers on paper as the network's parameters."""
    tables = [jnp.array(np.array(rows, np.float32)) for rows in layers]
    return [Layer(weights=table[:, :-1], biases=table[:, -1]) for table in tables]


def pixels_of(lamps: Sequence[str]) -> Row:
    """Six grey levels: two pixels for each lamp, the left one brighter."""
    return [Decimal(pixel) for lamp in LAMPS for pixel in (LIT if lamp in lamps else DARK)]


def stop(lamps: Sequence[str]) -> int:
    """1 for STOP, 0 for go: one may go when green alone is lit; anything else, also a light that is broken, is STOP."""
    return int(list(lamps) != ["green"])


def multiply(text: list[str], left: Sequence[Decimal], right: Sequence[Decimal], names: Sequence[str]) -> Row:
    """One multiplication for every name, each on its line."""
    products = [on_paper(a * b) for a, b in zip(left, right, strict=True)]
    text += [f"{a:>10} x {b:>7} = {c:>8}   {name}" for a, b, c, name in zip(left, right, products, names, strict=True)]
    return products


def forward(text: list[str], layers: list[list[Row]], pixels: Row) -> list[Row]:
    """The activations of all layers, the pixels first."""
    activations = [pixels]
    for rows, names, before in zip(layers, *NEXT_TO, strict=True):
        answers = []
        for name, row in zip(names, rows, strict=True):
            text.append(f"{name}:   weight x activation before it")
            z = sum(multiply(text, row, [*activations[-1], ONE], [*before, "bias"]), Decimal(0))
            answers.append(on_paper(1 / (1 + (-z).exp())))
            text += [f"{'':>23}--------", f"{'z':>20} = {z:>8}   the sum"]
            text += [f"{f'sigma({z})':>20} = {answers[-1]:>8}   a", ""]
        activations.append(answers)
    return activations


def cost_and_wish(text: list[str], answer: Decimal, target: int, cost_fn: Callable) -> tuple[Decimal, Decimal]:
    """The cost and -dC/da of the output: multiplied out for the film's cost, else the numbers alone."""
    if cost_fn is costs.sum_of_squares:
        distance = target - answer
        text.append(f"distance = target - answer = {target} - {answer} = {distance}")
        names = ("cost = distance x distance", "wish of output = 2 x distance: the way to lower the cost")
        cost, wish = multiply(text, [distance, Decimal(2)], [distance, distance], names)
    else:
        found = jax.value_and_grad(cost_fn)(jnp.array([float(answer)]), jnp.array([float(target)]))
        cost, wish = on_paper(float(found[0])), on_paper(-float(found[1][0]))
        text += [f"{cost:>31}   cost", f"{wish:>31}   wish of output, minus the slope of the cost"]
    return cost, wish


def pulls(text: list[str], names: list[str], wishes: Row, activations: Row) -> Row:
    """wish x slope for every neuron; the slope of the sigmoid is a x (1 - a)."""
    text.append("slope = a x (1 - a)")
    slopes = multiply(text, activations, [1 - a for a in activations], [f"slope of {name}" for name in names])
    text.append("pull = wish x slope")
    found = multiply(text, wishes, slopes, [f"pull on {name}" for name in names])
    text.append("")
    return found


def parameter_nudges(text: list[str], names: list[str], pulled: Row, seen: Row, before: list[str]) -> list[Row]:
    """pull x activation for every weight, pull x 1 for the bias: a row for every neuron."""
    rows = []
    for name, pull in zip(names, pulled, strict=True):
        text.append(f"{name} asks its weights and its bias:   pull x activation before it")
        rows.append(multiply(text, [pull] * (len(seen) + 1), [*seen, ONE], [*before, "bias"]))
        text.append("")
    return rows


def columns(text: list[str], names: list[str], pulled: Row, rows: list[Row], before: list[str]) -> Row:
    """pull x weight, what every neuron wants from the layer before; summed over neurons, that layer's wishes."""
    found = []
    for name, pull, row in zip(names, pulled, rows, strict=True):
        text.append(f"{name} asks the layer before it, its column:   pull x weight")
        found.append(multiply(text, [pull] * len(before), row[:-1], before))
        text.append("")
    text.append("added together, row by row:")
    wishes = [sum(addends, Decimal(0)) for addends in zip(*found, strict=True)]
    for name, wish, *addends in zip(before, wishes, *found, strict=True):
        text.append(f"    {' + '.join(f'{addend:>7}' for addend in addends)} = {wish:>7}   wish of {name}")
    text.append("")
    return wishes


def step(text: list[str], layers: list[list[Row]], nudges: list[list[Row]], step_size: Decimal) -> list[list[Row]]:
    """All parameters after one step against the gradient, whose 25 components are minus the nudges."""
    after = []
    for rows, asked, names, before in zip(layers, nudges, *NEXT_TO, strict=True):
        after.append([])
        for row, row_nudges, name in zip(rows, asked, names, strict=True):
            text.append(f"{name}:   -rate x gradient = change;   old + change = new")
            each = zip([*before, "bias"], row, row_nudges, strict=True)
            after[-1].append([moved(text, label, old, nudge, step_size) for label, old, nudge in each])
            text.append("")
    return after


def moved(text: list[str], name: str, old: Decimal, nudge: Decimal, step_size: Decimal) -> Decimal:
    slope = -nudge + 0  # + 0 turns -0.0000 into 0.0000
    change = on_paper(-step_size * slope)
    new = old + change
    text.append(f"{-step_size:>10} x {slope:>7} = {change:>8}   {old:>5} + {change:>7} = {new:>7}   {name}")
    return new


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


def trace(layers: list[list[Row]], lamps: Sequence[str], step_size: Decimal, cost_fn: Callable) -> Trace:
    """One pass forward, one backward, one step, and the answer after it, for one pattern of lamps."""
    text = opening(lamps)

    def section(title: str) -> None:
        text.extend([title, "=" * len(title), ""])

    section("1. The answer")
    pixels, hidden, answer = forward(text, layers, pixels_of(lamps))
    section("2. The cost, and what the output wishes")
    cost, wish = cost_and_wish(text, answer[0], stop(lamps), cost_fn)
    text.append("")
    section("3. The output's pull")
    output_pull = pulls(text, OUTPUT, [wish], answer)
    section("4. Its three avenues: bias and weights")
    output_nudges = parameter_nudges(text, OUTPUT, output_pull, hidden, MIDDLE)
    section("5. and the activations before it: what the middle neurons should do")
    wishes = columns(text, OUTPUT, output_pull, layers[1], MIDDLE)
    section("6. The same, one layer further back: the pulls")
    middle_pull = pulls(text, MIDDLE, wishes, hidden)
    section("7. The middle neurons' avenues: biases and weights")
    nudges = [parameter_nudges(text, MIDDLE, middle_pull, pixels, PIXELS), output_nudges]
    section("8. and the pixels: what would help, though nothing can move them")
    columns(text, MIDDLE, middle_pull, layers[0], PIXELS)
    section("9. The 25 components of the gradient are minus the nudges; one step against them")
    after = step(text, layers, nudges, step_size)
    section("10. The answer after the step")
    *_, new_answer = forward(text, after, pixels_of(lamps))
    section("11. The cost after the step")
    new_cost, _ = cost_and_wish(text, new_answer[0], stop(lamps), cost_fn)
    text += [f"the cost was {cost} and is {new_cost}", ""]
    return Trace("\n".join(text), nudges, cost, new_cost)
