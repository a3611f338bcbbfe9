"""One digit's story: the network with its wishes, the columns of 7:38, pixels and weights, and nudges.html."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

TEMPLATE = Path(__file__).with_name("nudges.html")
MOST_ROWS = 16  # neurons before that a picture of columns has room for, and as many columns


class Picture(NamedTuple):
    """One digit in one network, as the figures need it: lists over layers, None where a layer 0 has no such thing."""

    label: int
    says: str
    shape: tuple[int, int, int]
    weights: list
    activations: list
    nudges: list
    pulls: list


def picture_of(result: Any, network: Any) -> Picture:
    """The chosen digit in one of the networks."""
    digit, layers, pixels = result.chosen, network.layers, result.inputs[result.chosen]
    return Picture(
        int(result.targets[digit].argmax()), network.says, result.image_shape,
        [None, *(layer.weights for layer in layers)],
        [pixels / 255 if pixels.dtype == np.uint8 else pixels, *(layer.activations[digit] for layer in layers)],
        [network.pixel_nudges[digit], *(layer.nudges[digit] for layer in layers)],
        [None, *(layer.pulls[digit] for layer in layers)],
    )  # fmt: skip


def network(picture: Picture) -> Figure:
    """The network lit up by the digit, with its strongest weights and every neuron's wish."""
    figure, (sides,) = plots.new_figure(13, 7.5, columns=2, width_ratios=(1, 3.6))
    last = len(picture.activations) - 1
    shown = [strip(picture), *(strongest(picture.nudges[layer], 24) for layer in range(1, last + 1))]
    shown[-1] = np.sort(strongest(picture.pulls[last], 24))
    lit = [picture.activations[layer][rows] for layer, rows in enumerate(shown)]
    weights = [picture.weights[layer][np.ix_(shown[layer], shown[layer - 1])] for layer in range(1, last + 1)]
    heights = plots.network(sides[1], lit, weights)
    for layer, (rows, y) in enumerate(zip(shown, heights, strict=True)):
        plots.wishes(sides[1], layer + 0.09, y, picture.nudges[layer][rows], size=min(150.0, 3200 / len(rows)))
        sides[1].text(layer, 1.02, layer_name(layer, last, len(rows), len(picture.nudges[layer])), ha="center")
    label_outputs(sides[1], picture, shown[-1], heights[-1])
    draw_digit(sides[0], picture, shown[0])
    plots.headline(figure, network_finding(picture))
    plots.note(figure, "first seed")
    return figure


def network_finding(picture: Picture) -> str:
    """What the picture of the network shows, in a sentence."""
    output, label = picture.activations[-1], picture.label
    answer = int(np.argmax(output))
    verdict = "rightly" if answer == label else "wrongly"
    return (
        f"{picture.says.capitalize()} the network {verdict} calls this {label} a {answer} ({output[answer]:.2f}). "
        f"Output {label} should rise and the others fall: backwards, that makes a wish for every neuron and pixel"
    )


def layer_name(layer: int, last: int, shown: int, of: int) -> str:
    """What stands above a layer of the drawn network."""
    name = "pixels" if layer == 0 else "outputs" if layer == last else f"hidden layer {layer}"
    return f"{shown} of the {of} {name}" if shown < of else f"{of} {name}" if layer in (0, last) else name


def label_outputs(axes: Axes, picture: Picture, rows: np.ndarray, heights: np.ndarray) -> None:
    """Beside each output what it answers and what it should have been."""
    last = len(picture.activations) - 1
    for row, height in zip(rows, heights, strict=True):
        wanted = row == picture.label
        axes.text(
            last + 0.19, height, f"{row}:  {picture.activations[-1][row]:.2f}  →  {int(wanted)}", va="center",
            fontweight="bold" if wanted else "normal",
        )  # fmt: skip
    axes.set_xlim(-0.15, last + 0.62)
    axes.set_ylim(-0.02, 1.08)


def draw_digit(axes: Axes, picture: Picture, pixels: np.ndarray) -> None:
    """The digit with the strip of pixels that the network's first layer shows, and how to read the picture."""
    _, width, channels = picture.shape
    axes.imshow(image(picture, picture.activations[0]), cmap="gray", vmin=0, vmax=1)
    column = pixels[0] // channels % width
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


def image(picture: Picture, pixels: np.ndarray) -> np.ndarray:
    """Pixels as rows and columns; colours, if there are three, in a last axis."""
    height, width, channels = picture.shape
    return pixels.reshape(height, width) if channels == 1 else pixels.reshape(height, width, channels)


def strip(picture: Picture) -> np.ndarray:
    """The pixels of the image's brightest column, top to bottom (of a colour image: its first colour)."""
    height, width, channels = picture.shape
    numbers = np.arange(height * width * channels).reshape(height, width, channels)[..., 0]
    return numbers[:, np.argmax(picture.activations[0][numbers].sum(axis=0))]


def strongest(values: np.ndarray, count: int) -> np.ndarray:
    """The places, in order, of at most `count` values: the largest ones by size.

    >>> strongest(np.array([1.0, -3.0, 0.0, 2.0]), 2)
    array([1, 3])
    """
    return np.sort(np.argsort(-np.abs(values), kind="stable")[:count])


def columns(picture: Picture, layer: int) -> Figure:
    """Every neuron's column of wishes for the layer before and their sum; beside it what the film draws at 7:38."""
    neurons = strongest(picture.pulls[layer], MOST_ROWS)
    rows = strongest(picture.nudges[layer - 1], MOST_ROWS)
    weights = picture.weights[layer][np.ix_(neurons, rows)].T
    computed = picture.pulls[layer][neurons] * weights
    drawn = np.abs(computed) * np.sign(weights)
    wrong = np.sign(drawn) != np.sign(computed)
    total = picture.nudges[layer - 1][rows]
    figure, (sides,) = plots.new_figure(14, 7.5, columns=2, width_ratios=(len(neurons) + 2, len(neurons) + 0.5))
    draw_columns(sides[0], computed, neurons, rows, picture.pulls[layer][neurons])
    draw_columns(sides[1], drawn, neurons, rows, np.ones(len(neurons)))
    draw_sum(sides[0], total, len(neurons), float(np.abs(computed).max()))
    sides[1].scatter(*np.nonzero(wrong)[::-1], marker="o", s=230, facecolors="none", edgecolors="0.35", linewidths=1)
    name_columns(sides[0], picture, layer, neurons, rows)
    sides[0].set_title("computed: pull of the neuron x weight (▲ brighter, ▼ dimmer)")
    sides[1].set_title(f"as drawn in the film at 7:38: the weight's sign alone; ringed: wrong, {wrong.sum()}")
    sides[1].set_xlabel("the same neurons; on top, as if each of them should rise", fontsize=9)
    plots.headline(figure, columns_finding(picture, layer, wrong))
    plots.note(figure, "first seed")
    return figure


def columns_finding(picture: Picture, layer: int, wrong: np.ndarray) -> str:
    """What the picture of the columns shows, in a sentence."""
    share_wrong = 100 * wrong.mean()
    return (
        f"A neuron that should fall wants the opposite of what its weights say: drawn by the weight's sign alone, "
        f"{share_wrong:.0f} % of the arrows point the wrong way (a {picture.label}, {picture.says})"
    )


def draw_columns(axes: Axes, values: np.ndarray, neurons: np.ndarray, rows: np.ndarray, pulls: np.ndarray) -> None:
    """A grid of triangles, a column for every neuron; above each which way the neuron itself should go."""
    height, width = values.shape
    plots.wishes(axes, np.arange(width)[None], np.arange(height)[:, None], values, size=190)
    plots.wishes(axes, np.arange(width), -1.3, np.sign(pulls), size=60)
    axes.set_xticks(range(width), [str(neuron) for neuron in neurons])
    axes.set_yticks(range(height), [str(row) for row in rows])
    axes.set_xlim(-0.7, width - 0.3)
    axes.set_ylim(height - 0.3, -2)
    axes.grid(False)
    axes.axhline(-0.7, color="0.6", linewidth=1)


def draw_sum(axes: Axes, total: np.ndarray, width: int, largest: float) -> None:
    """The sum of the columns, set apart on the right, its triangles in the columns' scale."""
    plots.wishes(axes, width + 0.6, np.arange(len(total)), total, largest=largest, size=190)
    axes.axvline(width - 0.2, color="0.6", linewidth=1)
    axes.set_xlim(-0.7, width + 1.3)
    axes.set_xticks([*range(width), width + 0.6], [*(label.get_text() for label in axes.get_xticklabels()), "sum"])


def name_columns(axes: Axes, picture: Picture, layer: int, neurons: np.ndarray, rows: np.ndarray) -> None:
    """Axis labels that say which neurons ask and which are asked, and how many are left out."""
    last = len(picture.weights) - 1
    asking = layer_name(layer, last, len(neurons), len(picture.pulls[layer]))
    asked = layer_name(layer - 1, last, len(rows), len(picture.nudges[layer - 1]))
    axes.set_xlabel(f"who asks: {asking}; on top, which way it should go itself", fontsize=9)
    axes.set_ylabel(f"who is asked: neurons of {asked}" if layer > 1 else f"who is asked: {asked}")


def pixels_and_weights(picture: Picture) -> Figure:
    """The wishes for the pixels, the requests for the last layer's weights, and what Hebb's rule would ask."""
    figure, (panels,) = plots.new_figure(16, 6.2, columns=3, width_ratios=(1, 1.15, 1))
    draw_pixel_wishes(panels[0], picture)
    draw_requests(panels[1], picture)
    draw_hebb(panels[2], picture)
    weakened = np.mean(np.outer(picture.pulls[-1], picture.activations[-2]) < 0)
    title = (
        f"What one {picture.label} wants, {picture.says}: a wish for every pixel, and for every weight pull x "
        f"activation; against Hebb's rule, {100 * weakened:.0f} % of these weights should be weakened, however much "
        "both ends fire"
    )
    plots.headline(figure, title)
    plots.note(figure, "first seed")
    return figure


def draw_pixel_wishes(axes: Axes, picture: Picture) -> None:
    """A triangle on every pixel: whether it should get lighter or darker."""
    height, width, channels = picture.shape
    axes.imshow(0.6 * image(picture, picture.activations[0]) + 0.4, cmap="gray", vmin=0, vmax=1)
    per_pixel = picture.nudges[0].reshape(height, width, channels).sum(axis=-1)
    rows, columns = np.indices((height, width))
    plots.wishes(axes, columns, rows, per_pixel, size=75)
    axes.set_title("pixels: ▲ lighter, ▼ darker would lower the cost")
    axes.set_xlabel("-dC/da of every pixel; area in proportion")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_requests(axes: Axes, picture: Picture) -> None:
    """The requests for the last layer's weights: pull of the output (right) times activation before (top)."""
    pull, before = picture.pulls[-1], picture.activations[-2]
    order = np.argsort(-before)[:MOST_ROWS]
    requests = np.outer(pull, before[order])
    height, width = requests.shape
    plots.wishes(axes, np.arange(width)[None], np.arange(height)[:, None], requests, size=130)
    plots.wishes(axes, width + 0.5, np.arange(height), pull, size=130)
    axes.scatter(np.arange(width), np.full(width, -1.5), c=before[order], cmap="gray", vmin=0, vmax=1, s=130,
                 edgecolors="0.2")  # fmt: skip
    axes.axhline(-0.75, color="0.6", linewidth=1)
    axes.axvline(width - 0.25, color="0.6", linewidth=1)
    axes.set_xticks([*range(width), width + 0.5], [*map(str, order), "pull"])
    axes.set_yticks(range(height))
    axes.set_ylim(height - 0.4, -2.3)
    axes.set_xlim(-0.6, width + 1.1)
    axes.grid(False)
    axes.set_title("weights into the outputs: request = pull x activation")
    axes.set_xlabel("neuron of the layer before, brightest first; disc: its activation")
    axes.set_ylabel("output")


def draw_hebb(axes: Axes, picture: Picture) -> None:
    """Every request for an output's weight against how much its two ends fire together."""
    together = np.outer(picture.activations[-1], picture.activations[-2])
    requests = np.outer(picture.pulls[-1], picture.activations[-2])
    strengthened = requests > 0
    for chosen, marker, colour, text in (
        (strengthened, "^", plots.COLOURS[0], "strengthened"), (~strengthened, "v", plots.COLOURS[1], "weakened")
    ):  # fmt: skip
        label = f"{text}: {100 * chosen.mean():.0f} % of the weights"
        axes.scatter(together[chosen], requests[chosen], marker=marker, color=colour, s=32, label=label)
    axes.axhline(0, color="0.4", linewidth=1)
    axes.set_title("Hebb's asterisk: firing together is not enough")
    axes.set_xlabel(
        "how much both ends fire: product of the two activations\n(Hebb's rule would strengthen in proportion)"
    )
    axes.set_ylabel("request for the weight, -dC/dw")
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
        "numClasses": result.targets.shape[1],
        "inputs": in_base64(result.inputs),
        "networks": list(map(page_network, result.networks)),
    }
    text = json.dumps(data_of_page).replace("<", "\\u003c")  # no name can end the script
    return TEMPLATE.read_text(encoding="utf-8").replace('"DATA"', text)


def page_network(network: Any) -> dict[str, Any]:
    """One network and every digit's story in it; item 0 of a list is for layer 1."""
    fields = network.layers[0]._fields
    packed = {field: [in_base64(getattr(layer, field)) for layer in network.layers] for field in fields}
    return {"name": network.name, "says": network.says, **packed}


def in_base64(array: np.ndarray) -> str:
    """The array's bytes, little-endian, uint8 or float32, as text."""
    kind = "u1" if array.dtype == np.uint8 else "<f4"
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()
