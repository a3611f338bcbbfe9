"""One digit's story: the network with its wishes, the columns of 7:38, pixels and weights, and nudges.html."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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


def picture_of(result: Any, network: Any, digit: int) -> Picture:
    numbers, levels = [layer.numbers for layer in network.layers], result.inputs[digit]
    pixels = levels / 255 if levels.dtype == np.uint8 else levels
    return Picture(
        int(result.targets[digit].argmax()), network.says, pixels.reshape(result.image_shape),
        [None, *(layer.weights for layer in network.layers)],
        [pixels, *(layer.activations[digit] for layer in numbers)],
        [network.pixel_nudges[digit], *(layer.nudges[digit] for layer in numbers)],
        [None, *(layer.pulls[digit] for layer in numbers)],
    )  # fmt: skip


def output_weights(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """(outputs, neurons before): the nudges of their weights, and the products by which Hebb's rule would grow them."""
    before = picture.activations[-2]
    return np.outer(picture.pulls[-1], before), np.outer(picture.activations[-1], before)


def along_hebb(picture: Picture) -> float:
    """The correlation between both of `output_weights`: 1 with Hebb's rule, -1 against it."""
    nudges, together = output_weights(picture)
    return float(np.corrcoef(together.ravel(), nudges.ravel())[0, 1])


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


def network(picture: Picture) -> plots.Figure:
    """The network lit up by the digit, with its strongest weights and every neuron's wish."""
    figure, ((left, right),) = plots.new_figure(13, 7.5, columns=2, width_ratios=(1, 3.6))
    last, label, answers = len(picture.activations) - 1, picture.label, picture.activations[-1]
    _, width, channels = picture.image.shape
    brightest = np.argmax(picture.image[..., 0].sum(axis=0))  # of a colour image: by its first colour
    strip = np.arange(brightest, picture.image[..., 0].size, width) * channels
    shown = [strip, *(strongest(nudges, 24) for nudges in picture.nudges[1:-1]), strongest(picture.pulls[last], 24)]
    lit = [activations[rows] for activations, rows in zip(picture.activations, shown, strict=True)]
    weights = [picture.weights[layer][np.ix_(shown[layer], shown[layer - 1])] for layer in range(1, last + 1)]
    heights = neurons(right, lit, weights)
    for layer, (rows, y) in enumerate(zip(shown, heights, strict=True)):
        triangles(right, layer + 0.09, y, picture.nudges[layer][rows], min(150.0, 3200 / len(rows)))
        right.text(layer, 1.02, layer_name(picture, layer, len(rows)), ha="center")
    for output, y in zip(shown[-1], heights[-1], strict=True):
        wanted, weight = (1, "bold") if output == label else (0, "normal")
        right.text(last + 0.19, y, f"{output}:  {answers[output]:.2f}  →  {wanted}", va="center", fontweight=weight)
    right.set(xlim=(-0.15, last + 0.62), ylim=(-0.02, 1.08))
    draw_digit(left, picture, brightest)
    answer = int(np.argmax(answers))
    verdict = "rightly" if answer == label else "wrongly"
    return plots.headline(
        figure,
        f"{picture.says.capitalize()} the network {verdict} calls this {label} a {answer} ({answers[answer]:.2f}). "
        f"Output {label} should rise and the others fall: backwards, that makes a wish for every neuron and pixel",
        "first seed",
    )


def draw_digit(axes: plots.Axes, picture: Picture, column: np.integer) -> None:
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


def draw_grid(axes: plots.Axes, values: np.ndarray, rows: Any, columns: Any, size: int, *beside: Any) -> None:
    """A triangle for every value, below a line with room for what belongs to each column; `beside`: the name of one
    more column of triangles on the right, its values, and the value whose triangle has the full size."""
    height, width = values.shape
    names, places = [str(column) for column in columns], [*range(width)]
    triangles(axes, np.arange(width)[None], np.arange(height)[:, None], values, size)
    axes.axhline(-0.7, color="0.6", linewidth=1)
    if beside:
        name, apart, largest = beside
        triangles(axes, width + 0.6, np.arange(height), apart, size, largest)
        axes.axvline(width - 0.2, color="0.6", linewidth=1)
        names, places = [*names, name], [*places, width + 0.6]
    axes.set(xlim=(-0.7, places[-1] + 0.7), ylim=(height - 0.3, -2.2))
    axes.set_xticks(places, names)
    axes.set_yticks(range(height), [str(row) for row in rows])
    axes.grid(False)


def columns(picture: Picture, layer: int) -> plots.Figure:
    """Every neuron's column of wishes for the layer before and their sum; beside it what the film draws at 7:38."""
    asking = strongest(picture.pulls[layer], MOST_ROWS)
    rows = strongest(picture.nudges[layer - 1], MOST_ROWS)
    pulls, weights = picture.pulls[layer][asking], picture.weights[layer][np.ix_(asking, rows)].T
    computed, width = pulls * weights, len(asking)
    sizes, wrong = np.abs(computed), np.broadcast_to(pulls < 0, computed.shape)
    largest, wrong_share = float(sizes.max()), 100 * sizes[wrong].sum() / sizes.sum()
    figure, ((left, right),) = plots.new_figure(14, 7.5, columns=2, width_ratios=(width + 2, width + 0.5))
    draw_grid(left, computed, rows, asking, 190, "sum", picture.nudges[layer - 1][rows], largest)
    draw_grid(right, sizes * np.sign(weights), rows, asking, 190)
    for axis, on_top in ((left, np.sign(pulls)), (right, np.ones(width))):
        triangles(axis, np.arange(width), -1.3, on_top, 60)
    ringed = np.nonzero(wrong & (sizes > largest / 50))  # a ring round what one cannot see is empty
    right.scatter(
        *ringed[::-1], s=40 + 190 * sizes[ringed] / largest, facecolors="none", edgecolors="0.35", linewidths=1
    )
    asked = f"{'neurons of ' * (layer > 1)}{layer_name(picture, layer - 1, len(rows))}"
    left.set(title="computed: pull of the neuron x weight (▲ brighter, ▼ dimmer)", ylabel=f"who is asked: {asked}")
    left.set_xlabel(f"who asks: {layer_name(picture, layer, width)}; on top, which way it should go itself", fontsize=9)
    right.set_title("as drawn in the film at 7:38: by the weight's sign alone; ringed: wrong")
    right.set_xlabel(
        "the same neurons; on top, as if each of them should rise; rings from 1/50 of the largest on", fontsize=9
    )
    return plots.headline(
        figure,
        "A neuron that should fall asks the opposite of what its weights say: drawn by the weight's sign alone, "
        f"{len(set(ringed[1]))} of {width} columns visibly point the wrong way, by size {wrong_share:.0f} % of the "
        f"arrows (a {picture.label}, {picture.says})",
        "first seed",
    )


def pixels_and_weights(picture: Picture, correlations: list[float]) -> plots.Figure:
    """The wishes for the pixels, the nudges of the last layer's weights, and what Hebb's rule would ask; `correlations`
    with it of all digits."""
    figure, ((left, middle, right),) = plots.new_figure(16, 6.2, columns=3, width_ratios=(1, 1.15, 1))
    left.imshow(0.6 * picture.image + 0.4, cmap="gray", vmin=0, vmax=1)
    rows, columns = np.indices(picture.image.shape[:2])
    triangles(left, columns, rows, picture.nudges[0].reshape(picture.image.shape).sum(axis=-1), 75)
    left.set(title="pixels: ▲ lighter, ▼ darker would lower the cost", xticks=[], yticks=[],
             xlabel="-dC/da of every pixel; area in proportion")  # fmt: skip
    pull, before = picture.pulls[-1], picture.activations[-2]
    order = np.argsort(-before)[:MOST_ROWS]
    draw_grid(middle, output_weights(picture)[0][:, order], range(len(pull)), order, 130, "pull", pull, None)
    middle.scatter(range(len(order)), np.full(len(order), -1.5), c=before[order], cmap="gray", vmin=0, vmax=1,
                   s=130, edgecolors="0.2")  # fmt: skip
    middle.set(title="weights into the outputs: nudge = pull x activation", ylabel="output",
               xlabel="neuron of the layer before, brightest first; disc: its activation")  # fmt: skip
    draw_hebb(right, picture)
    low, median, high = np.quantile(correlations, (0, 0.5, 1))
    return plots.headline(
        figure,
        f"What a digit asks of the weights into the outputs, {picture.says}, goes "
        f"{'against' if median < 0 else 'with'} Hebb's rule: correlation with firing together {median:.2f} (median of "
        f"{len(correlations)} digits, {low:.2f} to {high:.2f})",
        f"first seed; drawn: what one {picture.label} of the {len(correlations)} digits asks",
    )


def draw_hebb(axes: plots.Axes, picture: Picture) -> None:
    """Every nudge of an output's weight against how much its two ends fire together."""
    nudges, together = output_weights(picture)
    for chosen, marker, colour, text, above in (
        (nudges > 0, "^", plots.COLOURS[0], "strengthened", 9), (nudges <= 0, "v", plots.COLOURS[1], "weakened", -9)
    ):  # fmt: skip
        share, unit = 100 * np.abs(nudges[chosen]).sum() / np.abs(nudges).sum(), ("axes fraction", "data")
        axes.scatter(together[chosen], nudges[chosen], marker=marker, color=colour, s=32)
        plots.note(axes, f"{text}: {share:.0f} % of all that is asked", (0.99, 0), (0, above), unit,
                   ha="right", va="center", color=colour)  # fmt: skip
    axes.axhline(0, color="0.4", linewidth=1)
    axes.set(title=f"every weight into an output; this {picture.label}'s correlation: {along_hebb(picture):.2f}",
             xlabel="how much both ends fire: product of the two activations\n"
                    "(Hebb's rule would strengthen in proportion)", ylabel="nudge of the weight, -dC/dw")  # fmt: skip
    axes.margins(y=0.2)


def page(result: Any, dataset: str) -> str:
    """nudges.html: the template with the digits and the networks in it; it asks for nothing outside itself."""
    data_of_page = {
        "dataset": dataset,
        "trainCount": result.num_train,
        "shape": result.image_shape,
        "film": result.films,
        "sigmoids": result.films and all(map(of_sigmoids, result.networks)),
        "chosen": int(result.rows[result.chosen]),
        "rows": result.rows.tolist(),
        "labels": result.targets.argmax(axis=1).tolist(),
        "inputs": plots.in_base64(result.inputs),
        "networks": list(map(page_network, result.networks)),
    }
    return plots.filled(TEMPLATE, data_of_page)


def of_sigmoids(network: Any) -> bool:
    """Whether every slope is the sigmoid's, a(1 - a): the only activation with which the page can take a step."""
    return all(
        np.allclose(numbers.slopes, numbers.activations * (1 - numbers.activations), atol=1e-6)
        for *_, numbers in network.layers
    )


def page_network(network: Any) -> dict[str, Any]:
    stories = [layer._asdict() | layer.numbers._asdict() for layer in network.layers]
    fields = stories[0].keys() - {"numbers", "sums"}
    packed = {field: [plots.in_base64(story[field]) for story in stories] for field in sorted(fields)}
    return {"name": network.name, "says": network.says, **packed}
