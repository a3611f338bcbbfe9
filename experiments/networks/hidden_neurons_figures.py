"""How many hidden neurons: accuracy against parameters and against depth, and what of the gradient reaches layer 1."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots

NIELSENS_DEPTHS = ((1, 96.48), (2, 96.90), (3, 96.57), (4, 96.53))  # his chapter 5


def sweep(result: Any, settings: Any, finding: str) -> Figure:
    figure, axes = plots.new_figure(18, 6.4, columns=3)
    draw_widths(axes[0, 0], result, settings)
    draw_depths(axes[0, 1], result, settings)
    draw_gradients(axes[0, 2], result, settings)
    edge = [network.name for network in result.networks if not network.trained.tuned.is_inside]
    where = f" (best at the grid's edge: {', '.join(edge)})" if edge else " (all inside the grid)"
    rates = ", ".join(format(rate, "g") for rate in settings.learning_rates)
    foot = f"batches of {settings.batch_size}, {settings.num_epochs} epochs, each with its best rate of {rates}{where}"
    return plots.headline(figure, finding, foot)


def accuracies(networks: list[Any]) -> dict[str, np.ndarray]:
    """Of some networks at the end, in per cent: (seeds, networks)."""
    return {
        "test images": np.stack([network.test for network in networks], axis=1),
        "training images": np.stack([100 * network.trained.train_accuracy for network in networks], axis=1),
    }


def draw_widths(axis: Axes, result: Any, settings: Any) -> None:
    """Accuracy against the number of parameters, from no hidden neuron to the most; the own network as a star."""
    networks, widths = result.by_hidden(), [width for width in settings.widths if width]
    single = [networks[width,] for width in widths]
    x = np.array([network.num_parameters for network in single])
    for series, (name, y) in enumerate(accuracies(single).items()):
        plots.seed_points(axis, x, y, series, f"one hidden layer, {name}")
        axis.plot(x, np.median(y, axis=0), color=plots.COLOURS[series], linestyle=plots.LINES[series])
    medians = [np.median(network.test) for network in single]
    for width, place in zip(widths, zip(x, medians, strict=True), strict=True):
        axis.annotate(str(width), place, xytext=(5, -15), textcoords="offset points", fontweight="bold")
    own = (result.networks[result.own], {"marker": "*", "color": plots.COLOURS[6], "markersize": 13})
    none = [(networks[()], {"marker": "D", "color": plots.COLOURS[2], "markersize": 9})] if () in networks else []
    for network, style in [*none, own]:
        axis.plot(network.num_parameters, np.median(network.test), label=f"{network.name}, test images", linestyle="",
                  zorder=5, **style)  # fmt: skip
    axis.set(xscale="log", ylim=(0, 102), xlabel="weights and biases", ylabel="correct, %",
             title=f"{widths[0]} hidden neuron{'' if widths[0] == 1 else 's'}: {medians[0]:.0f} %; {widths[-1]}: "
             f"{medians[-1]:.1f} %")  # fmt: skip
    axis.legend(loc="lower right", title="median and range of seeds; numbers: neurons")


def draw_depths(axis: Axes, result: Any, settings: Any) -> None:
    networks, width, x = result.by_hidden(), settings.depth_width, np.array(sorted(settings.depths))
    shown = [networks[(width,) * depth] for depth in x]
    for series, (name, y) in enumerate(accuracies(shown).items()):
        plots.seed_points(axis, x + 0.08 * series - 0.04, y, series, f"layers of {width}, {name}")
    if width == 30 and settings.dataset == "mnist":
        axis.plot(*zip(*NIELSENS_DEPTHS, strict=True), "k*", markersize=10,
                  label="Nielsen: cross-entropy, regularised, 30 epochs of batches of 10")  # fmt: skip
    medians = {depth: np.median(network.test) for depth, network in zip(x, shown, strict=True)}
    best = max(medians, key=medians.__getitem__)
    gain = medians[best] - medians.get(1, medians[best])
    layers = f"{best} hidden layer{'' if best == 1 else 's'}"
    axis.set(xticks=x, xlabel="hidden layers", ylabel="correct, %",
             title=f"Best with {layers}: {gain:+.2f} points against one")  # fmt: skip
    axis.legend(loc="lower right", fontsize=9)


def draw_gradients(axis: Axes, result: Any, settings: Any) -> None:
    """The length of every layer's gradient before training, for every depth; a quarter a layer for comparison."""
    networks, width = result.by_hidden(), settings.depth_width
    shown = [depth for depth in sorted(settings.depths) if depth]
    for series, depth in enumerate(shown):
        label = f"{depth} hidden layer{'' if depth == 1 else 's'}"
        plots.seed_band(axis, np.arange(1, depth + 2), networks[(width,) * depth].norms, series, label)
    shallow, deepest = (np.median(networks[(width,) * depth].norms[:, 0]) for depth in (shown[0], shown[-1]))
    places = np.arange(1, shown[-1] + 1)
    if settings.has_films_network:
        axis.plot(places, deepest * 4.0 ** (places - 1), color="0.4", linestyle=(0, (2, 2)), linewidth=1,
                  label="4 times a layer: sigma' is 1/4 at most")  # fmt: skip
    axis.set(yscale="log", xticks=np.arange(1, shown[-1] + 2), xlabel="layer of weights, 1 next to the pixels",
             ylabel="length of the layer's gradient before training",
             title=f"With {shown[-1]} hidden layers 1/{shallow / deepest:.3g} of the gradient\nreaches the first, "
             f"against {shown[0]}")  # fmt: skip
    axis.legend(loc="lower right", fontsize=9)
