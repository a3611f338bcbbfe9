"""One digit's story: the network with its wishes, the columns of 7:38, pixels and weights, and nudges.html."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots
from experiments.one_example.neurons_figures import neurons, triangles

TEMPLATE = Path(__file__).with_name("nudges.html")
MOST_ROWS = 16  # neurons before that a picture of columns has room for, and as many columns


class Picture(NamedTuple):
    """One digit in one network: lists over layers, the pixels (0) first, which have neither weights nor pulls."""

    label: int
    says: str
    image: np.ndarray  # height, width, channels
    weights: list
    activations: list
    nudges: list
    pulls: list


def picture_of(result: Any, network: Any) -> Picture:
    """The chosen digit in one of the networks."""
    digit, numbers = result.chosen, [layer.numbers for layer in network.layers]
    levels = result.inputs[digit]
    pixels = levels / 255 if levels.dtype == np.uint8 else levels
    return Picture(
        int(result.targets[digit].argmax()), network.says, pixels.reshape(result.image_shape),
        [None, *(layer.weights for layer in network.layers)],
        [pixels, *(layer.activations[digit] for layer in numbers)],
        [network.pixel_nudges[digit], *(layer.nudges[digit] for layer in numbers)],
        [None, *(layer.pulls[digit] for layer in numbers)],
    )  # fmt: skip


def strongest(values: np.ndarray, count: int) -> np.ndarray:
    """The places, in order, of at most `count` values: the largest ones by size.

    >>> strongest(np.array([1.0, -3.0, 0.0, 2.0]), 2)
    array([1, 3])
    """
    return np.sort(np.argsort(-np.abs(values), kind="stable")[:count])


def layer_name(picture: Picture, layer: int, shown: int) -> str:
    """Which layer it is, and how many of its neurons are left out."""
    last, of = len(picture.nudges) - 1, len(picture.nudges[layer])
    name = "pixels" if layer == 0 else "outputs" if layer == last else f"hidden layer {layer}"
    return f"{shown} of the {of} {name}" if shown < of else f"{of} {name}" if layer in (0, last) else name


def network(picture: Picture) -> Figure:
    """The network lit up by the digit, with its strongest weights and every neuron's wish."""
    figure, ((left, right),) = plots.new_figure(13, 7.5, columns=2, width_ratios=(1, 3.6))
    last = len(picture.activations) - 1
    _, width, channels = picture.image.shape
    brightest = np.argmax(picture.image[..., 0].sum(axis=0))  # of a colour image: by its first colour
    strip = np.arange(brightest, picture.image[..., 0].size, width) * channels
    shown = [strip, *(strongest(nudges, 24) for nudges in picture.nudges[1:-1]), strongest(picture.pulls[last], 24)]
    lit = [activations[rows] for activations, rows in zip(picture.activations, shown, strict=True)]
    weights = [picture.weights[layer][np.ix_(shown[layer], shown[layer - 1])] for layer in range(1, last + 1)]
    heights = neurons(right, lit, weights)
    for layer, (rows, y) in enumerate(zip(shown, heights, strict=True)):
        triangles(right, layer + 0.09, y, picture.nudges[layer][rows], size=min(150.0, 3200 / len(rows)))
        right.text(layer, 1.02, layer_name(picture, layer, len(rows)), ha="center")
    for output, answer, y in zip(shown[-1], lit[-1], heights[-1], strict=True):
        wanted, weight = (1, "bold") if output == picture.label else (0, "normal")
        right.text(last + 0.19, y, f"{output}:  {answer:.2f}  →  {wanted}", va="center", fontweight=weight)
    right.set(xlim=(-0.15, last + 0.62), ylim=(-0.02, 1.08))
    draw_digit(left, picture, brightest)
    answer, label = int(np.argmax(picture.activations[-1])), picture.label
    verdict = "rightly" if answer == label else "wrongly"
    return plots.headline(
        figure,
        f"{picture.says.capitalize()} the network {verdict} calls this {label} a {answer} "
        f"({picture.activations[-1][answer]:.2f}). Output {label} should rise and the others fall: backwards, that "
        "makes a wish for every neuron and pixel",
        "first seed",
    )


def draw_digit(axes: Axes, picture: Picture, column: np.integer) -> None:
    """The digit with the column of pixels that the network's first layer shows, and how to read the picture."""
    axes.imshow(picture.image, cmap="gray", vmin=0, vmax=1)
    axes.axvspan(column - 0.5, column + 0.5, fill=False, edgecolor=plots.COLOURS[4], linewidth=2)
    axes.set_title(f"the digit, a {picture.label}; framed:\nthe pixels drawn on the right")
    key = (
        "▲ should rise, ▼ should fall:\n-dC/da, area in proportion\nwithin each layer\n\n"
        "discs: activation, black 0, white 1\n\nlines: the strongest weights,\nsolid positive, dashed negative\n\n"
        "outputs:  answer  →  target"
    )
    axes.text(0, -0.08, key, transform=axes.transAxes, va="top", linespacing=1.4)
    axes.set_anchor("N")
    axes.axis("off")


def draw_grid(axes: Axes, values: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: int) -> None:
    """A triangle for every value, below a line with room for what belongs to each column."""
    height, width = values.shape
    triangles(axes, np.arange(width)[None], np.arange(height)[:, None], values, size=size)
    axes.set(xlim=(-0.7, width - 0.3), ylim=(height - 0.3, -2.2))
    axes.set_xticks(range(width), list(map(str, columns)))
    axes.set_yticks(range(height), list(map(str, rows)))
    axes.grid(False)
    axes.axhline(-0.7, color="0.6", linewidth=1)


def draw_beside(axes: Axes, name: str, values: np.ndarray, size: int, largest: float | None = None) -> None:
    """One more column of triangles, set apart on the right of a grid."""
    names = [label.get_text() for label in axes.get_xticklabels()]
    width = len(names)
    triangles(axes, width + 0.6, np.arange(len(values)), values, size=size, largest=largest)
    axes.axvline(width - 0.2, color="0.6", linewidth=1)
    axes.set_xlim(-0.7, width + 1.3)
    axes.set_xticks([*range(width), width + 0.6], [*names, name])


def columns(picture: Picture, layer: int) -> Figure:
    """Every neuron's column of wishes for the layer before and their sum; beside it what the film draws at 7:38."""
    neurons = strongest(picture.pulls[layer], MOST_ROWS)
    rows = strongest(picture.nudges[layer - 1], MOST_ROWS)
    pulls = picture.pulls[layer][neurons]
    signs = np.sign(picture.weights[layer][np.ix_(neurons, rows)].T)
    computed = pulls * picture.weights[layer][np.ix_(neurons, rows)].T
    wrong = signs != np.sign(computed)
    width = len(neurons)
    figure, ((left, right),) = plots.new_figure(14, 7.5, columns=2, width_ratios=(width + 2, width + 0.5))
    for axes, values, on_top in ((left, computed, np.sign(pulls)), (right, np.abs(computed) * signs, np.ones(width))):
        draw_grid(axes, values, rows, neurons, 190)
        triangles(axes, np.arange(width), -1.3, on_top, size=60)
    draw_beside(left, "sum", picture.nudges[layer - 1][rows], 190, float(np.abs(computed).max()))
    right.scatter(*np.nonzero(wrong)[::-1], marker="o", s=230, facecolors="none", edgecolors="0.35", linewidths=1)
    left.set_title("computed: pull of the neuron x weight (▲ brighter, ▼ dimmer)")
    left.set_xlabel(f"who asks: {layer_name(picture, layer, width)}; on top, which way it should go itself", fontsize=9)
    left.set_ylabel(f"who is asked: {'neurons of ' * (layer > 1)}{layer_name(picture, layer - 1, len(rows))}")
    right.set_title(f"as drawn in the film at 7:38: the weight's sign alone; ringed: wrong, {wrong.sum()}")
    right.set_xlabel("the same neurons; on top, as if each of them should rise", fontsize=9)
    return plots.headline(
        figure,
        "A neuron that should fall wants the opposite of what its weights say: drawn by the weight's sign alone, "
        f"{100 * wrong.mean():.0f} % of the arrows point the wrong way (a {picture.label}, {picture.says})",
        "first seed",
    )


def pixels_and_weights(picture: Picture) -> Figure:
    """The wishes for the pixels, the nudges of the last layer's weights, and what Hebb's rule would ask."""
    figure, ((left, middle, right),) = plots.new_figure(16, 6.2, columns=3, width_ratios=(1, 1.15, 1))
    left.imshow(0.6 * picture.image + 0.4, cmap="gray", vmin=0, vmax=1)
    height, width, _ = picture.image.shape
    rows, columns = np.indices((height, width))
    triangles(left, columns, rows, picture.nudges[0].reshape(picture.image.shape).sum(axis=-1), size=75)
    left.set(title="pixels: ▲ lighter, ▼ darker would lower the cost", xticks=[], yticks=[],
             xlabel="-dC/da of every pixel; area in proportion")  # fmt: skip
    pull, before = picture.pulls[-1], picture.activations[-2]
    order, nudges = np.argsort(-before)[:MOST_ROWS], np.outer(pull, before)
    draw_grid(middle, nudges[:, order], np.arange(len(pull)), order, 130)
    draw_beside(middle, "pull", pull, 130)
    middle.scatter(np.arange(len(order)), np.full(len(order), -1.5), c=before[order], cmap="gray", vmin=0, vmax=1,
                   s=130, edgecolors="0.2")  # fmt: skip
    middle.set(title="weights into the outputs: nudge = pull x activation", ylabel="output",
               xlabel="neuron of the layer before, brightest first; disc: its activation")  # fmt: skip
    draw_hebb(right, nudges, np.outer(picture.activations[-1], before))
    return plots.headline(
        figure,
        f"What one {picture.label} wants, {picture.says}: a wish for every pixel, and for every weight pull x "
        f"activation; against Hebb's rule, {100 * np.mean(nudges < 0):.0f} % of these weights should be weakened, "
        "however much both ends fire",
        "first seed",
    )


def draw_hebb(axes: Axes, nudges: np.ndarray, together: np.ndarray) -> None:
    """Every nudge of an output's weight against how much its two ends fire together."""
    for chosen, marker, colour, text in (
        (nudges > 0, "^", plots.COLOURS[0], "strengthened"), (nudges <= 0, "v", plots.COLOURS[1], "weakened")
    ):  # fmt: skip
        label = f"{text}: {100 * chosen.mean():.0f} % of the weights"
        axes.scatter(together[chosen], nudges[chosen], marker=marker, color=colour, s=32, label=label)
    axes.axhline(0, color="0.4", linewidth=1)
    product = "how much both ends fire: product of the two activations\n(Hebb's rule would strengthen in proportion)"
    axes.set(
        title="Hebb's asterisk: firing together is not enough", xlabel=product, ylabel="nudge of the weight, -dC/dw"
    )
    axes.legend(fontsize=9.5)


def page(result: Any, dataset: str) -> str:
    """nudges.html: the template with the digits and the networks in it; it asks for nothing outside itself."""
    data_of_page = {
        "dataset": dataset,
        "trainCount": result.num_train,
        "shape": result.image_shape,
        "film": result.films,
        "chosen": int(result.rows[result.chosen]),
        "rows": result.rows.tolist(),
        "labels": result.targets.argmax(axis=1).tolist(),
        "inputs": in_base64(result.inputs),
        "networks": list(map(page_network, result.networks)),
    }
    text = json.dumps(data_of_page).replace("<", "\\u003c")  # no name can end the script
    return TEMPLATE.read_text(encoding="utf-8").replace('"DATA"', text)


def page_network(network: Any) -> dict[str, Any]:
    """One network and every digit's story in it; item 0 of a list is for layer 1."""
    stories = [layer._asdict() | layer.numbers._asdict() for layer in network.layers]
    packed = {field: [in_base64(story[field]) for story in stories] for field in stories[0] if field != "numbers"}
    return {"name": network.name, "says": network.says, **packed}


def in_base64(array: np.ndarray) -> str:
    """The array's bytes, little-endian, uint8 or float32, as text."""
    kind = "u1" if array.dtype == np.uint8 else "<f4"
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()
