"""How many hidden neurons: accuracy against parameters and against depth, and what of the gradient reaches layer 1."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

NIELSENS_DEPTHS = ((1, 96.48), (2, 96.90), (3, 96.57), (4, 96.53))  # his chapter 5


def sweep(result: Any, settings: Any, finding: str) -> Figure:
    """Width, depth and gradient, side by side."""
    figure, axes = plots.new_figure(18, 6.4, columns=3)
    widths(axes[0, 0], result, settings)
    depths(axes[0, 1], result, settings)
    reaching(axes[0, 2], result, settings)
    plots.headline(figure, finding.removesuffix("."))
    edge = [network.name for network in result.networks if not network.trained.tuned.is_inside]
    where = f" (best at the grid's edge: {', '.join(edge)})" if edge else " (all inside the grid)"
    rates = ", ".join(format(rate, "g") for rate in settings.learning_rates)
    plots.note(
        figure,
        f"batches of {settings.batch_size}, {settings.num_epochs} epochs, each with its best rate of {rates}{where}",
    )
    return figure


def ends(network: Any) -> tuple[np.ndarray, np.ndarray]:
    """(test, training) accuracy at the end in per cent, of every seed."""
    return network.test, 100 * network.trained.train_accuracy


def widths(axis: Axes, result: Any, settings: Any) -> None:
    """Accuracy against the number of parameters, from no hidden neuron to the most; the own network as a star."""
    networks = result.by_hidden()
    hidden = [(width,) for width in settings.widths if width]
    x = np.array([networks[layers].num_parameters for layers in hidden])
    for series, name in enumerate(("test images", "training images")):
        y = np.stack([ends(networks[layers])[series] for layers in hidden], axis=1)
        plots.seed_points(axis, x, y, series, f"one hidden layer, {name}")
        axis.plot(x, np.median(y, axis=0), color=plots.COLOURS[series], linestyle=plots.LINES[series])
    for layers, place in zip(hidden, x, strict=True):
        height = np.median(ends(networks[layers])[0])
        axis.annotate(str(layers[0]), (place, height), xytext=(5, -15), textcoords="offset points", fontweight="bold")
    for layers, marker, colour in (
        ((), "D", plots.COLOURS[2]),
        (result.networks[result.own].hidden, "*", plots.COLOURS[6]),
    ):
        if layers in networks:
            label = f"{networks[layers].name}, test images"
            axis.plot(networks[layers].num_parameters, np.median(ends(networks[layers])[0]), marker, color=colour,
                      markersize=13 if marker == "*" else 9, label=label, linestyle="", zorder=5)  # fmt: skip
    axis.set_xscale("log")
    axis.set_ylim(0, 102)
    axis.set_xlabel("weights and biases")
    axis.set_ylabel("correct, %")
    first, last = (np.median(ends(networks[layers])[0]) for layers in (hidden[0], hidden[-1]))
    axis.set_title(
        f"{hidden[0][0]} hidden neuron{'' if hidden[0][0] == 1 else 's'}: {first:.0f} %; {hidden[-1][0]}: {last:.1f} %"
    )
    axis.legend(loc="lower right", title="median and range of seeds; numbers: neurons")


def depths(axis: Axes, result: Any, settings: Any) -> None:
    """Accuracy against the number of hidden layers."""
    networks, width = result.by_hidden(), settings.depth_width
    x = np.array(sorted(settings.depths))
    for series, name in enumerate(("test images", "training images")):
        y = np.stack([ends(networks[(width,) * depth])[series] for depth in x], axis=1)
        plots.seed_points(axis, x + 0.08 * series - 0.04, y, series, f"layers of {width}, {name}")
    if width == 30 and settings.dataset == "mnist":
        axis.plot(*zip(*NIELSENS_DEPTHS, strict=True), "k*", markersize=10,
                  label="Nielsen: cross-entropy, regularised, 30 epochs of batches of 10")  # fmt: skip
    medians = {depth: np.median(ends(networks[(width,) * depth])[0]) for depth in x}
    best = max(medians, key=medians.__getitem__)
    axis.set_xticks(x)
    axis.set_xlabel("hidden layers")
    axis.set_ylabel("correct, %")
    gain = medians[best] - medians.get(1, medians[best])
    axis.set_title(f"Best with {best} hidden layer{'' if best == 1 else 's'}: {gain:+.2f} points against one")
    axis.legend(loc="lower right", fontsize=9)


def reaching(axis: Axes, result: Any, settings: Any) -> None:
    """The length of every layer's gradient before training, for every depth; a quarter a layer for comparison."""
    networks, width = result.by_hidden(), settings.depth_width
    shown = [depth for depth in sorted(settings.depths) if depth]
    for series, depth in enumerate(shown):
        norms = networks[(width,) * depth].norms
        plots.seed_band(
            axis, np.arange(1, depth + 2), norms, series, f"{depth} hidden layer{'' if depth == 1 else 's'}"
        )
    deepest = networks[(width,) * shown[-1]].norms
    places, middle = np.arange(1, shown[-1] + 1), np.median(deepest, axis=0)
    if settings.has_films_network:
        axis.plot(places, middle[0] * 4.0 ** (places - 1), color="0.4", linestyle=(0, (2, 2)), linewidth=1,
                  label="4 times a layer: sigma' is 1/4 at most")  # fmt: skip
    axis.set_yscale("log")
    axis.set_xticks(np.arange(1, shown[-1] + 2))
    axis.set_xlabel("layer of weights, 1 next to the pixels")
    axis.set_ylabel("length of the layer's gradient before training")
    shallow = np.median(networks[(width,) * shown[0]].norms[:, 0])
    share = f"1/{shallow / middle[0]:.3g}"
    axis.set_title(f"With {shown[-1]} hidden layers {share} of the gradient\nreaches the first, against {shown[0]}")
    axis.legend(loc="lower right", fontsize=9)
