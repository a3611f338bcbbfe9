"""What several figures share: numpy arrays in, matplotlib axes drawn on. Imports nothing of research.

Colours are Okabe and Ito's, which colour-blind readers tell apart; every series has a line style of its own as well,
so that a figure survives a grey printer.
"""

import base64
import io
import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from experiments.common.bounds import require

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
SIGNS = "●■▲◆▼✚"  # the same in words
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (3, 3)), "-")

PLOTLY = "../plotly.min.js"  # as a page names it
IN_PANEL = "axes fraction"  # 0, 0 is a panel's lower left corner, 1, 1 its upper right one
ENGINE = Path(__file__).with_name("engine.js")

STYLE: Any = {  # of what matplotlib makes with the axes; what is drawn on them later has its defaults
    "figure.dpi": 110, "font.size": 11, "axes.grid": True, "grid.alpha": 0.3, "axes.spines.top": False,
    "axes.spines.right": False,
}  # fmt: skip


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options) -> tuple[Figure, np.ndarray]:
    """A figure of width x height inches in the house style, with a (rows, columns) array of axes."""
    with mpl.rc_context(STYLE):
        return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **options)


def seed_band(axes: Axes, x: np.ndarray, y: np.ndarray, series: int, label: str, **options) -> None:
    """The median over seeds as a line, and all of them as a band: x is (points,), y is (seeds, points).
    `series` chooses colour and line style; the same number means the same method in every panel. The options, such
    as marker="o", are the line's."""
    style = {"color": COLOURS[series % len(COLOURS)], "linestyle": LINES[series % len(LINES)]} | options
    axes.fill_between(x, y.min(axis=0), y.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
    axes.plot(x, np.median(y, axis=0), label=label, **style)


def seed_points(axes: Axes, x: np.ndarray, y: np.ndarray, series: int) -> None:
    """The median of `y` (seeds, points) over seeds as markers, with the range of all seeds; series 0 to 4."""
    middle = np.median(y, axis=0)
    axes.errorbar(x, middle, [middle - y.min(axis=0), y.max(axis=0) - middle], fmt=MARKERS[series], markersize=6,
                  color=COLOURS[series], elinewidth=1.2)  # fmt: skip


def reference_line(axes: Axes, y: float, text: str) -> None:
    """A thin horizontal line at a known value, named at its right end inside the axes."""
    axes.axhline(y, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    note(axes, text, (1, y), (-2, 3), ("axes fraction", "data"), ha="right", va="bottom")


def limit_line(axes: Axes, x: float, text: str) -> None:
    """A vertical line where something must change, named along its upper end."""
    axes.axvline(x, color=COLOURS[1], linewidth=1.2, linestyle=(0, (6, 2)))
    note(axes, text, (x, 1), (-4, -4), ("data", "axes fraction"), rotation=90, ha="right", va="top", color=COLOURS[1])


def note(
    axes: Axes, text: str, at: tuple, offset: tuple = (0, 0), unit: Any = "data", series: int = -1, **style
) -> None:
    """Small words in a panel, so many points beside a place of the data, or of the panel (unit=IN_PANEL), on the side
    that the offset says; in the colour of a series, else grey."""
    across, up = offset
    sides: dict[str, Any] = {
        "ha": "right" if across < 0 else "left",
        "va": "top" if up < 0 else "bottom" if up > 0 else "baseline",
    }
    colour = COLOURS[series % len(COLOURS)] if series >= 0 else "0.3"
    axes.annotate(text, at, offset, unit, "offset points", **({"fontsize": 9, "color": colour} | sides | style))


def panel(axes: Axes, title: str = "", x: str = "", y: str = "", *, log_x: Any = (), log_y: Any = (), **limits) -> None:
    """What a panel shows and the names of its axes; `log_x` and `log_y` are the ticks of logarithmic axes, in plain
    numbers; what else `Axes.set` takes."""
    for axis, ticks in ((axes.xaxis, log_x), (axes.yaxis, log_y)):
        if len(ticks):  # before the limits: those of a linear axis may lie below 0
            plain_log_ticks(axis, ticks)
    words = {"title": title, "xlabel": x, "ylabel": y}
    axes.set(**{name: said for name, said in words.items() if said}, **limits)


def name_lines(axes: Axes) -> None:
    """Every line that has a label is named beside the axes, as high as it ends and in its colour; names that would lie
    on one another are pushed apart. Axes with a legend are left alone."""
    drawn = {line: np.ma.compress_rows(np.ma.masked_invalid(line.get_xydata())) for line in axes.get_lines()}
    lines = [line for line in drawn if len(drawn[line]) and str(line.get_label())[:1] not in ("", "_")]
    if not lines or axes.get_legend():
        return
    axes.autoscale_view()
    ends = (axes.transScale + axes.transLimits).transform([drawn[line][-1] for line in lines])
    order = np.argsort(ends[:, 1])
    room = 0.02 + 0.035 * max(str(line.get_label()).count("\n") + 1 for line in lines)  # a name's share of the height
    least, rank = ends[order, 1], room * np.arange(len(lines))
    upwards = np.maximum.accumulate(least - rank) + rank
    downwards = np.minimum.accumulate((least - rank)[::-1])[::-1] + rank
    heights = (upwards + downwards) / 2
    below_top = np.maximum(heights - max(0, heights[-1] - 1), room / 2)  # and above the names of ticks
    for index, height in zip(order, np.maximum.accumulate(below_top - rank) + rank, strict=True):
        axes.text(1.02, height, str(lines[index].get_label()), transform=axes.transAxes, va="center", fontsize=9,
                  color=lines[index].get_color())  # fmt: skip


def enough_ticks(ticks: Sequence[float], low: float, high: float) -> list[float]:
    """Those ticks, or, where fewer than two of them lie between low and high, some that do.

    >>> enough_ticks((0.5, 1, 2), 0.4, 1.1), [round(tick, 3) for tick in enough_ticks((0.5, 1, 2), 0.85, 0.95)]
    ([0.5, 1, 2], [0.85, 0.875, 0.9, 0.925, 0.95])
    """
    if sum(low <= tick <= high for tick in ticks) > 1:
        return list(ticks)
    return [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if tick > 0]


class PlainTicks(FixedLocator):
    """Those ticks, if there are enough of them in view."""

    def __call__(self) -> list[float]:
        shown: Any = self  # matplotlib says of neither that it is there
        low, high = sorted(shown.axis.get_view_interval())
        return enough_ticks(shown.locs, low, high)


def plain_log_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """Labels a logarithmic axis with plain numbers, not powers of ten; a linear axis becomes logarithmic."""
    if axis.get_scale() == "linear":
        axis.axes.set(**{"xscale" if axis is axis.axes.xaxis else "yscale": "log"})
    axis.set_major_locator(PlainTicks(list(ticks)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


class Page(NamedTuple):
    """What an experiment leaves beside its figures: a page, a moving picture, a text. A page may name plotly's script
    as ../plotly.min.js; the house leaves it there, once for all pages."""

    suffix: str  # .html, .gif, .txt
    content: bytes


WANTED = "it must give a dict of figures by plain names, as {'curve': figure}"


def as_file(name: str, drawn: Figure | Page, foot: str) -> tuple[str, bytes]:
    """The name of the file and its bytes. Raises SettingsError for what is neither, or could lie in no folder of ours.

    >>> as_file("run", Page(".txt", b"steps"), "")
    ('run.txt', b'steps')
    """
    file = f"{name}{getattr(drawn, 'suffix', '.png')}"
    plain = file == Path(file).name and file.isprintable() and 0 < len(file.encode()) <= 200
    plain = plain and file.lower() not in ("..", "run.json", "arrays.npz")
    require(isinstance(drawn, Figure | Page) and plain, f"figures gave {file[:80]}, a {type(drawn).__name__}; {WANTED}")
    content = drawn.content if isinstance(drawn, Page) else as_png(drawn, foot)
    require(isinstance(content, bytes), f"figures gave {file} without bytes; encode what is a text")
    return file, content


def filled(template: Path, data: dict[str, Any]) -> str:
    """The page of that template with the network's arithmetic and the data in it; it asks nothing outside itself."""
    text = json.dumps(data).replace("<", "\\u003c")  # no name can end the script
    page = template.read_text(encoding="utf-8").replace("ENGINE;", ENGINE.read_text(encoding="utf-8"))
    return page.replace('"DATA"', text)


def when(epochs: float) -> str:
    """
    >>> when(0), when(1), when(0.5)
    ('at the start', 'after 1 epoch', 'after 0.5 epochs')
    """
    return f"after {epochs:g} epoch{'' if epochs == 1 else 's'}" if epochs else "at the start"


def in_base64(array: np.ndarray) -> str:
    """The array's bytes, little-endian, uint8 or float32, as text for a page."""
    kind = "u1" if array.dtype == np.uint8 else "<f4"
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()


def as_png(figure: Figure, foot: str) -> bytes:
    """The figure as a file, its lines named, and closed. Its foot is what `headline` was told it is about, else
    network, data and seeds, and what else `headline` was told."""
    for axes in figure.axes:
        name_lines(axes)
    whole = str(figure.get_label()) or "; ".join(filter(None, [foot, figure.get_supxlabel()]))
    lines = (evenly(line, 13 * figure.get_figwidth()) for line in whole.splitlines())  # letters an inch leave a margin
    figure.supxlabel("\n".join(lines), fontsize=10)
    file = io.BytesIO()
    try:
        if layout := figure.get_layout_engine():  # while it has one, matplotlib draws all of it twice
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(file, format="png")
    finally:
        plt.close(figure)
    return file.getvalue()


def new_mosaic(width: float, height: float, mosaic: Any, **options) -> tuple[Figure, dict]:
    """A figure in the house style with named axes, as `matplotlib.pyplot.subplot_mosaic` lays them out."""
    with mpl.rc_context(STYLE):
        return plt.subplot_mosaic(mosaic, figsize=(width, height), layout="constrained", **options)


def map_of_hill(axes: Axes, alphas: np.ndarray, betas: np.ndarray, surface: np.ndarray) -> None:
    """A map of a surface (alphas, betas), alphas to the right: the darker the higher, height lines in equal ratios."""
    low, high = surface.min(), surface.max()
    levels = np.unique((np.geomspace if low > 0 else np.linspace)(low, high, 14))
    axes.contourf(alphas, betas, surface.T, levels=levels, cmap="Greys", alpha=0.55)
    lines = axes.contour(alphas, betas, surface.T, levels=levels, colors="0.45", linewidths=0.6)
    axes.clabel(lines, list(levels[::2]), colors="0.15", fmt=lambda level: f"{level:.2g}", fontsize=8)
    axes.set_aspect("equal")
    axes.grid(False)


def path_on_map(axes: Axes, shadow: np.ndarray, series: int, **options) -> None:
    """A path (points, 2) on a map, in the colour and line style of `series`, its end marked by a disc."""
    colour = COLOURS[series % len(COLOURS)]
    axes.plot(*shadow.T, color=colour, linestyle=LINES[series % len(LINES)], **options)
    axes.plot(*shadow[-1], marker="o", markersize=9, color=colour, markeredgecolor="white", zorder=5)


def evenly(text: str, width: float) -> str:
    """The text in as few lines of `width` letters as it takes, about equally long.

    >>> evenly("one two three four", 15)
    'one two\\nthree four'
    """
    lines = math.ceil(len(text) / width)
    least = math.ceil(len(text) / lines)
    wrapped = (textwrap.fill(text, letters) for letters in range(least, 2 * least + 1))
    return next((wrap for wrap in wrapped if wrap.count("\n") < lines), text)


def headline(figure: Figure, finding: str, foot: str = "", *, about: str = "") -> Figure:
    """The figure, with the finding in bold above it: as few lines as its width allows, about equally long, no number
    parted from its %. `foot`: what its foot says besides network, data and seeds; `about`: what it says instead of
    them, for a figure that is about something else.

    >>> figure, axes = new_figure(3, 3)
    >>> headline(figure, "After the third epoch 50 % are right.", "left: first seed").get_suptitle()
    'After the third\\nepoch 50\\xa0% are right'
    >>> plt.close(figure)
    """
    whole = finding.removesuffix(".").replace(" %", "\N{NO-BREAK SPACE}%")
    even = evenly(whole, 8.5 * figure.get_figwidth())  # letters an inch leave a margin
    figure.suptitle(even, fontsize=13, fontweight="bold", parse_math=False)
    figure.supxlabel(foot)
    figure.set_label(about)
    return figure
