"""How many hidden neurons: accuracy against parameters and against depth, and what of the gradient reaches layer 1."""

from typing import Any

import numpy as np

from experiments.common import plots

NIELSENS_DEPTHS = ((1, 96.48), (2, 96.90), (3, 96.57), (4, 96.53))  # his chapter 5


def sweep(result: Any, settings: Any, finding: str) -> plots.Figure:
    figure, axes = plots.new_figure(17, 5.8, columns=3)
    draw_widths(axes[0, 0], result, settings)
    draw_depths(axes[0, 1], result, settings)
    draw_gradients(axes[0, 2], result, settings)
    edge = [network.name for network in result.networks if not network.trained.tuned.is_inside]
    where = f"best at the grid's edge: {', '.join(edge)}" if edge else "all inside the grid"
    rates = ", ".join(format(rate, "g") for rate in settings.learning_rates)
    better = max(np.median(100 * each.trained.train_accuracy - each.test) for each in result.networks)
    return plots.headline(
        figure,
        finding,
        f"median and range; batches of {settings.batch_size}, {settings.num_epochs} epochs, each with its best rate of "
        f"{rates} ({where})\non the training images no network is more than {better:.1f} points better (median)",
    )


def draw_widths(axis: plots.Axes, result: Any, settings: Any) -> None:
    """Accuracy against the number of parameters; beside one hidden layer, none and the own network."""
    networks, widths = result.by_hidden(), [width for width in settings.widths if width]
    single, own = [networks[width,] for width in widths], result.networks[result.own]
    x, y = np.array([each.num_parameters for each in single]), np.stack([each.test for each in single], axis=1)
    plots.seed_points(axis, x, y, 0)
    axis.plot(x, np.median(y, axis=0), color=plots.COLOURS[0])
    for width, place in zip(widths, zip(x, np.median(y, axis=0), strict=True), strict=True):
        plots.note(axis, str(width), place, (6, -15), series=0)
    others = [("no hidden layer", networks[()], 1, "right")] if () in networks else []
    for name, network, series, side in (*others, (own.name, own, 2, "left")):
        place, colour = (network.num_parameters, np.median(network.test)), plots.COLOURS[series]
        axis.plot(*place, "oD*"[series], color=colour, markersize=15, zorder=1)
        plots.note(axis, name, place, (0, 9), ha=side, color=colour)
    axis.set(xscale="log", ylim=(0, 105), xlabel="weights and biases", ylabel="correct on the test images, %",
             title="One hidden layer: so many neurons")  # fmt: skip


def draw_depths(axis: plots.Axes, result: Any, settings: Any) -> None:
    """Accuracy against the number of layers, beside Nielsen's, who trains longer and otherwise."""
    networks, width, depths = result.by_hidden(), settings.depth_width, sorted(settings.depths)
    y = np.stack([networks[(width,) * depth].test for depth in depths], axis=1)
    plots.seed_points(axis, np.array(depths), y, 0)
    axis.plot(depths, np.median(y, axis=0), color=plots.COLOURS[0])
    axis.set(xticks=depths, xlabel="hidden layers", ylabel="correct on the test images, %",
             title=f"So many hidden layers of {width}")  # fmt: skip
    if width == 30 and settings.dataset == "mnist":
        axis.plot(*zip(*NIELSENS_DEPTHS, strict=True), "*--", color="0.4", linewidth=1)
        axis.set_title("So many hidden layers of 30 (dashed: Nielsen,\ncross-entropy, regularised, 30 epochs)")


def draw_gradients(axis: plots.Axes, result: Any, settings: Any) -> None:
    """The length of every layer's gradient before training, for every depth; a quarter a layer for comparison."""
    networks, width = result.by_hidden(), settings.depth_width
    shown = [depth for depth in sorted(settings.depths) if depth]
    norms = {depth: networks[(width,) * depth].norms for depth in shown}
    for series, depth in enumerate(shown):
        plots.seed_band(axis, np.arange(1, depth + 2), norms[depth], series, "")
        plots.note(axis, f"{depth} hidden", (1, np.median(norms[depth][:, 0])), (-6, 0), series=series, va="center")
    shallow, deepest = (np.median(norms[depth][:, 0]) for depth in (shown[0], shown[-1]))
    if settings.has_films_network:
        places = np.arange(1, shown[-1] + 1)
        axis.plot(places, deepest * 4.0 ** (places - 1), color="0.4", linestyle=(0, (2, 2)), linewidth=1)
        plots.note(axis, "thin grey: 4 times a layer,\nfor sigma' is 1/4 at most", (0.98, 0.04), unit=plots.IN_PANEL,
                   ha="right")  # fmt: skip
    axis.set(yscale="log", xlim=(0.2, shown[-1] + 1.2), xticks=np.arange(1, shown[-1] + 2),
             xlabel="layer of weights, 1 next to the pixels", ylabel="length of the layer's gradient, untrained",
             title=f"The first layer's gradient: with {shown[-1]} hidden layers\n1/{shallow / deepest:.3g} of what "
             f"it is with {shown[0]}")  # fmt: skip
