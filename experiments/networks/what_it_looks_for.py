"""What does the network look for, and which pixels is it sensitive to?

How does one find out what a network has learned, a reader asks, one after Hubel and Wiesel? The weights of every neuron
of the first layer are an image, before and after training. How smooth it is, a number says: the share of its variance
in the coarse patterns, of at most 4 waves across the image. Of white noise that is the share of such patterns. The size
of a component is the cost's sensitivity, says the film: |dC/dw| behind every pixel and dC/dpixel are images as well.
Weights behind a pixel that is always black stay noise: (dC/dpixel)^2 is |delta|^2 times their variance, 1/784.

Run:     python -m experiments what_it_looks_for [--quick | --full]
Time:    default 40 s, --quick 9 s, --full 15 s on 2 cores, compilation included
Result:  (medians of 10 seeds) 6 % of the variance of a neuron's weights lie in coarse patterns before training, as of
         noise, 71 % after an epoch, 49 % after 20; of the images 66 %. What training adds is coarse at first (85 %).
"""

import dataclasses
import math
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jax import Array
from jaxtyping import Bool, Float, Int

from experiments.common import checkpoints, plots, runs
from experiments.common.bounds import of_train
from experiments.common.claims import Claims, about, at_least, at_most, exactly, identity, prediction, within
from experiments.common.problem import Problem, plain_layers
from experiments.networks import what_it_looks_for_figures as drawn
from research import data, statistics
from research.data import Examples
from research.models import Layer

COARSE = 4  # waves across the image, at most
BATCH_SIZE = 100
WHY = (
    "flaw: in float32 a step shorter than half of a weight's last digit is lost, and a pixel that few images light "
    "dimly makes no longer ones; float64 would decide (one epoch, tried once, moved all 11,930, in float32 11,921; "
    "here 20 epochs move 11,920 to 11,929)"
)


@dataclasses.dataclass(frozen=True)
class Settings(checkpoints.Settings):
    num_looked_at: Annotated[int, Ge(1), of_train] = 5000
    """Training images, from the first on, over which sensitivities are averaged."""


QUICK = Settings(num_seeds=2, num_examples=10_000, checkpoints=(0.1, 1), num_looked_at=2000)
FULL = Settings(num_seeds=10, checkpoints=(0.1, 1, 5, 20), num_looked_at=10_000)


class Result(NamedTuple):
    """The first look is the start. Sensitivities are means over the images that are looked at."""

    epochs: Float[np.ndarray, "looks"]
    weights: Float[np.ndarray, "looks neurons pixels"]  # of the first layer, first seed
    weight_sensitivity: Float[np.ndarray, "looks pixels"]  # |dC/dw|, mean over the neurons, first seed
    pixel_sensitivity: Float[np.ndarray, "looks pixels"]  # root mean square of dC/dpixel, first seed
    coarse: Float[np.ndarray, "seeds looks"]  # share of the weights' variance, mean over the neurons
    coarse_change: Float[np.ndarray, "seeds later"]  # of what training added to them, looks after the start
    told: Float[np.ndarray, "seeds looks"]  # correlation of |dC/dw| with the mean image, mean over the neurons
    on_black: Float[np.ndarray, "seeds looks"]  # mean (dC/dpixel)^2 of black pixels over |delta|^2 times 1/pixels
    share_on_black: Float[np.ndarray, "seeds looks"]  # of the sum of (dC/dpixel)^2 over all pixels
    moved: Int[np.ndarray, "seeds"]  # parameters that are not at their start when training ends
    moved_on_black: Float[np.ndarray, "seeds"]  # largest change of a weight behind a black pixel
    num_parameters: int
    black: Bool[np.ndarray, "pixels"]  # in every training image
    coarse_noise: float
    coarse_images: float
    image_shape: tuple[int, int, int]


def coarse_patterns(height: int, width: int) -> np.ndarray:
    """(height, width) of the discrete Fourier transform: which patterns have at most COARSE waves; not the mean."""
    waves = np.hypot(np.fft.fftfreq(height, 1 / height)[:, None], np.fft.fftfreq(width, 1 / width)[None])
    return (waves > 0) & (waves <= COARSE)


def coarse_share(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The share of each image's variance that lies in its coarse patterns; images (..., pixels)."""
    power = np.abs(np.fft.fft2(images.reshape(*images.shape[:-1], *shape), axes=(-3, -2))) ** 2
    power[..., 0, 0, :] = 0
    coarse = power[..., coarse_patterns(*shape[:2]), :].sum(axis=(-2, -1))
    return coarse / power.sum(axis=(-3, -2, -1))


def sensitivities(factors: object, black: Array, params: list[Layer], few: Examples) -> tuple[Array, ...]:
    """(|dC/dw| of every pixel, its correlation with the mean image, root mean square of dC/dpixel, and on black pixels:
    its mean square over |delta|^2 / pixels, its share of the whole), of one network."""
    first = jax.vmap(factors, (None, 0))(params, few)[0]  # pyright: ignore[reportArgumentType]
    deltas, images = first.deltas, first.activations
    by_weight = jnp.abs(deltas).T @ images / len(images)
    brightness = images.mean(axis=0)
    told = jax.vmap(lambda row: jnp.corrcoef(row, brightness)[0, 1])(by_weight).mean()
    squares = jnp.mean((deltas @ params[0].weights) ** 2, axis=0)
    expected = jnp.mean(jnp.sum(deltas**2, axis=1)) / len(squares)
    on_black, share = jnp.mean(squares, where=black) / expected, jnp.sum(squares, where=black) / squares.sum()
    return by_weight.mean(axis=0), told, jnp.sqrt(squares), on_black, share


def measure(problem: Problem, settings: Settings) -> Result:
    functions = plain_layers(problem, "the weights of the first layer are looked at as images")
    _, epochs, places = checkpoints.walk(settings, problem, BATCH_SIZE)
    images, shape = np.asarray(problem.train.inputs), problem.image_shape
    black, few = (images == 0).all(axis=0), data.take(problem.train, slice(settings.num_looked_at))
    factors = statistics.layer_factors(problem.cost_fn, *functions)
    look = runs.over_seeds(partial(sensitivities, factors, jnp.asarray(black)), (0, None))
    seen = jax.device_get([look(params, few) for params in places])
    by_weight, told, by_pixel, on_black, share = (np.stack(each, axis=1) for each in zip(*seen, strict=True))
    weights = np.stack([params[0].weights for params in places], axis=1)  # seeds, looks, neurons, pixels
    changes = weights[:, 1:] - weights[:, :1]
    behind_black = np.where(black, np.abs(changes[:, -1]), 0)
    ends = [jax.tree.leaves(params) for params in (places[0], places[-1])]
    moved = sum((old != new).reshape(len(old), -1).sum(axis=1) for old, new in zip(*ends, strict=True))
    patterns = coarse_patterns(*shape[:2])
    sample = data.widened(data.take(problem.train, slice(settings.num_looked_at))).inputs
    return Result(
        np.asarray(epochs, float), weights[0], by_weight[0], by_pixel[0], coarse_share(weights, shape).mean(axis=2),
        coarse_share(changes, shape).mean(axis=2), told, on_black, share, np.asarray(moved),
        behind_black.max(axis=(1, 2)), problem.num_parameters, black, patterns.sum() / (patterns.size - 1),
        float(coarse_share(np.asarray(sample), shape).mean()), shape,
    )  # fmt: skip


def spread_of_noise(result: Result) -> float:
    """Four standard deviations of the coarse share of white noise, which follows a beta distribution; all neurons."""
    share, num_images = result.coarse_noise, result.weights.shape[1] * len(result.coarse)
    return 4 * math.sqrt(2 * share * (1 - share) / ((len(result.black) + 1) * num_images))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.has_films_network:
        return
    noise, images, spread = result.coarse_noise, result.coarse_images, spread_of_noise(result)
    num_black = int(result.black.sum())
    yield prediction("C29", "before any training the weights of a neuron are white noise", result.coarse[:, 0].mean(),
                     about(noise, by=spread), "share of coarse patterns, mean",
                     "the share of such patterns; four standard deviations")  # fmt: skip
    yield prediction("C29", "trained, a neuron's weights are smoother than noise, less smooth than images",
                     result.coarse[:, -1].mean(), within(noise + spread, images), "share of coarse patterns, mean",
                     "noise of the start plus a sum of images")  # fmt: skip
    yield prediction("C29", "what training adds is at first smoother than the images",
                     result.coarse_change[:, 0].min(), at_least(images), "share of coarse patterns, least",
                     "directions of large variance first: LeCun, Kanter, Solla 1991")  # fmt: skip
    yield prediction("C29", "what it adds later is ever less smooth", np.diff(result.coarse_change, axis=1).max(),
                     at_most(0), "largest rise of the share", "the others later: LeCun et al. 1991")  # fmt: skip
    yield prediction("T9", "untrained, the cost is as sensitive to a weight as its pixel is bright on average",
                     result.told[:, 0].min(), about(1, by=0.05), "correlation, least",
                     "mean |delta a| = mean |delta| mean a where both are independent")  # fmt: skip
    if num_black:
        yield identity("C29", f"weights behind the {num_black} pixels that are always black stay at their start",
                       result.moved_on_black.max(), exactly(0), "largest change", "delta x a")  # fmt: skip
        yield prediction("C29", "all other parameters leave their start", result.moved.min(), exactly(
            result.num_parameters - num_black * result.weights.shape[1]), "parameters, fewest",
            "delta x a; rounding could break it", WHY)  # fmt: skip
        by = 4 * math.sqrt(2 / num_black / len(result.told))
        for look, when in ((0, "before"), (-1, "after")):
            yield prediction("T9", f"{when} training the cost is as sensitive to black pixels as the start's noise is "
                             "large", result.on_black[:, look].mean(), about(1, by=by), "mean square x 784 / |delta|^2",
                             "delta knows nothing of these weights; four standard deviations")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    coarse, change = np.median(result.coarse, axis=0), np.median(result.coarse_change, axis=0)
    share = 100 * np.median(result.share_on_black, axis=0)
    return (
        f"Of the variance of a neuron's weights {coarse[0]:.0%} lie in coarse patterns before training, as of noise "
        f"({result.coarse_noise:.0%}), up to {coarse.max():.0%} on the way and {coarse[-1]:.0%} after it; of the "
        f"images {result.coarse_images:.0%}. What training adds is coarse at first ({change[0]:.0%}) and finer later "
        f"({change[-1]:.0%}). Pixels that are black in every image carry {share[0]:.2g} % of the sensitivity before "
        f"and {share[-1]:.2g} % after (medians)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"weights": drawn.weights(result), "sensitivity": drawn.sensitivity(result)}
