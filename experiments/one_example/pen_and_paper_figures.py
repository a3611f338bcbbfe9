"""The text of pen_and_paper: one pass forward, one backward, one step, every number rounded before it is used again.

Every function of the text returns the numbers that the next section needs, and its lines.
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
NAMES = (
    [f"{lamp} {side}" for lamp in LAMPS for side in ("left", "right")],
    [f"middle {number}" for number in (1, 2, 3)],
    ["output"],
)
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
