"""The four equations with one network's numbers: a text to follow with a pencil, and a figure of three panels."""

import textwrap
from decimal import Decimal
from typing import Any

import numpy as np

from experiments.common import plots
from experiments.one_example.pen_and_paper_figures import ONE, Row, multiply, on_paper

OPENING = """The four equations of backpropagation, beside what the film says in words
=========================================================================

Training image {index}, a {label}, in a network of {sizes} neurons before any training.

p = -dC/dz is the pull on a neuron: how its weighted sum z should change to lower the cost. Books write delta = dC/dz
= -p; the minus cancels in all four. f is the activation, f' its slope, for a sigmoid a (1 - a).
Every number is rounded to four decimals BEFORE it is used again: products and sums check out.
"""


def sizes(result: Any) -> str:
    return "-".join(map(str, result.widths))


def numbers(values: np.ndarray) -> Row:
    return [on_paper(float(value)) for value in values]


def table(result: Any) -> list[str]:
    """Where the components of the gradient are, layer by layer."""
    lines = [f"{'layer':<8}{'weights':>22}{'biases':>9}{'together':>11}{'not 0 for this image':>23}"]
    for layer, (weights, biases) in enumerate(result.counts):
        product = f"{result.widths[layer]} x {result.widths[layer + 1]} = {weights:,}"
        lines.append(f"{layer + 1:<8}{product:>22}{biases:>9,}{weights + biases:>11,}{result.not_zero[0, layer]:>23,}")
    return [*lines, f"{'':<39}{result.counts.sum():>11,}{result.not_zero[0].sum():>23,}", ""]


def equation(lines: list[str], number: int, formula: str, words: str) -> None:
    lines += ["", f"{number}.  {formula}", "", *textwrap.wrap(words, 100, initial_indent="    ",
                                                              subsequent_indent="    "), ""]  # fmt: skip


def text(result: Any, finding: str) -> str:
    """All four, each for a neuron or a layer where its numbers fit on a page."""
    shown, label = result.shown, int(result.shown.targets.argmax())
    outputs, before = range(len(shown.targets)), range(len(shown.before))
    lines = [OPENING.format(index=result.row, label=label, sizes=sizes(result)), *table(result)]
    equation(lines, 1, "p_j = -dC/da_j x f'(z_j)      for every output j", "The film: an output's nudge is "
             "proportional to its distance from its target. That is -dC/da, with the film's cost 2 (target - a). How "
             "much of it reaches the neuron's weighted sum, its slope says.")  # fmt: skip
    pulls = multiply(lines, numbers(shown.nudges), numbers(shown.slopes),
                     [f"p of output {j}: it says {shown.activations[j]:.4f}, should be {shown.targets[j]:.0f}"
                      for j in outputs])  # fmt: skip
    chosen = most_wanted(shown)
    equation(lines, 2, f"p_k = (sum over j of w_jk p_j) x f'(z_k)      for a neuron k of the layer before: k = "
             f"{chosen}", "The film: every output has wishes for the layer before, in proportion to its weights and to "
             "its own nudge; they are added up, and the same rule goes on backwards.")  # fmt: skip
    asked = multiply(lines, numbers(shown.weights[:, chosen]), pulls, [f"output {j} wants" for j in outputs])
    wish = sum(asked, Decimal(0))
    lines += [f"{'':>23}--------", f"{wish:>31}   added up: -dC/da of neuron {chosen}"]
    multiply(lines, [wish], numbers(shown.slopes_before[[chosen]]), [f"p of neuron {chosen}"])
    equation(lines, 3, f"-dC/db_j = p_j      for the bias of output {label}", "The film: to raise a neuron one may "
             "raise its bias. It is the weight of an activation that is always 1.")  # fmt: skip
    multiply(lines, [pulls[label]], [ONE], [f"nudge of the bias of output {label}"])
    equation(lines, 4, f"-dC/dw_jk = p_j a_k      for the weights of output {label}", "The film: or raise its weights, "
             "those from the brightest neurons most, for they have most effect.")  # fmt: skip
    multiply(lines, [pulls[label]] * len(before), numbers(shown.before), [f"nudge of the weight from neuron {k}"
                                                                        for k in before])  # fmt: skip
    return "\n".join([*lines, "", *textwrap.wrap(finding, 100)]) + "\n"


def most_wanted(shown: Any) -> int:
    """The neuron of the layer before whose activation should change most."""
    return int(np.abs(shown.pulls @ shown.weights).argmax())


def four(result: Any) -> plots.Figure:
    shown, label, chosen = result.shown, int(result.shown.targets.argmax()), most_wanted(result.shown)
    figure, ((first, second, third),) = plots.new_figure(16, 6.2, columns=3)
    outputs, before = [str(j) for j in range(len(shown.targets))], [str(k) for k in range(len(shown.before))]
    draw_bars(first, outputs, shown.nudges, "0.75", width=0.8)
    draw_bars(first, outputs, shown.pulls, width=0.45)
    first.set(title="1  $p_j = -dC/da_j \\;\\times\\; f'(z_j)$\ndistance from the target x slope", xlabel="output",
              ylabel="grey: -dC/da; coloured: the pull p")  # fmt: skip
    asked = shown.weights[:, chosen] * shown.pulls
    slope = shown.slopes_before[chosen]
    draw_bars(second, [*outputs, "sum", "p"], np.array([*asked, asked.sum(), asked.sum() * slope]))
    second.axvline(len(outputs) - 0.5, color="0.4", linewidth=1)
    second.set(xlabel="output", title="2  $p_k = (\\sum_j w_{jk}\\, p_j) \\;\\times\\; f'(z_k)$\n"
               "what all outputs want, added up, x slope", ylabel=f"asked of neuron {chosen} before")  # fmt: skip
    draw_bars(third, ["b", *before], shown.pulls[label] * np.array([1, *shown.before]))
    third.axvline(0.5, color="0.4", linewidth=1)
    third.set(title="3  $-dC/db_j = p_j$      4  $-dC/dw_{jk} = p_j\\, a_k$\nthe pull itself; the pull x how bright",
              xlabel="its bias; the neurons that its weights come from", ylabel=f"nudge at output {label}")  # fmt: skip
    return plots.headline(
        figure,
        f"All of backpropagation is four lines: here they are for one {label}, and every one of the "
        f"{result.counts.sum():,} components is that of jax.grad",
        "before any training, the first seed's network; blue should rise, vermillion fall",
    )


def draw_bars(axes: plots.Axes, names: list[str], values: np.ndarray, colour: str = "", width: float = 0.7) -> None:
    """A bar for every value, blue where something should rise, vermillion where it should fall."""
    colours = [colour or plots.COLOURS[int(value < 0)] for value in values]
    axes.bar(range(len(names)), values, width, color=colours)
    axes.set_xticks(range(len(names)), names)
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.grid(visible=False, axis="x")
    axes.set_axisbelow(True)
