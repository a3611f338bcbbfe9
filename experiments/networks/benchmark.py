"""How fast is all this, against the same work done otherwise?

Six works of the film's network, each done by the library as the experiments use it (on all devices where it can share
its work out), by JAX written more plainly, by numpy by hand, four of them by C by hand (in_c.c, built on the spot
where there is a compiler), and by PyTorch in eager mode, with its libraries for single gradients, where these are
installed, which this project does not ask for: `uv run --with torch --with opacus --with backpack-for-pytorch python -m
experiments benchmark`. Beside them stands how long the operations alone take at the rate of numpy's sgemm. Contestants
in turn, compilation left out, the results of all compared with each other. Another cost or activation leaves the others
but JAX out.

Where the milliseconds go: JAX's runtime hands half of a step's larger products to a second thread, which gains nothing.
An epoch takes 106 ms so, C 56 to 59; on one core alone (PJRT_NPROC=1, --cpu-devices 1) 58 and 78, C 45 and 59 (medians
of 9 in turn, twice). There, in CPU time with AVX-512, beside other work, kernels by JAX's profiler: a step is 151 us in
32 kernels: fetching 100 rows byte by byte takes 47 (as words of four bytes 24), the products with the pixels 30 and 26,
which is sgemm's rate, 29 small kernels 34, and what lies between them, the profiler's share included, the rest; an
iteration of an empty scan takes 2. With batches fetched beforehand an epoch takes 0.97 to 1.03 of C's time. On one core
alone the gradient takes 44 ms: the products with the pixels 25, their floats 11, the rest 8; C 38. By the layers'
factors it is 87: three products 40, floats 9, squares 9, norms, which BackPACK does not find, 7. Single gradients, 248:
a third writes them, 25 images' at a time, the rest adds up them and their squares; C, which keeps none, 55. The cost
over the grid was 717 ms: with ReLU in the sigmoids' place it is 355, with nothing 250, so that its 1.1 billion
sigmoids, which PyTorch computes too, take two thirds.

Run:     python -m experiments benchmark [--quick | --full]
Time:    default 60 s, --quick 12 s, --full 5 min with PyTorch and its libraries on 2 cores, compilation included
Memory:  1.2 GB, with PyTorch 1.6, of which it and its libraries take 0.7 as soon as they are imported
Result:  (medians of 11 rounds) an epoch of SGD 114 ms (PyTorch 4.2 times, C on one thread 0.5 times as long), the
         gradient over all images 39 ms (PyTorch 1.3, C 0.7), their variance 237 ms (vmap(grad) of PyTorch 11.6, Opacus
         11.5, BackPACK 11.6, C 0.2), by the layers' factors 74 ms (BackPACK 3.9, C 0.5).
"""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, Interval
from jaxtyping import Float

from experiments.common import experiment, in_c, peers, plots, records, runs, works
from experiments.common.bounds import Count, of_train
from experiments.common.claims import Claims, at_least, at_most, identity, speed
from experiments.common.problem import Problem
from experiments.common.works import BATCH_SIZE, Work
from experiments.networks import benchmark_figures


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_examples: Annotated[int | None, Ge(BATCH_SIZE), of_train] = None
    """Training images, from the first on; all of them by default."""
    num_seeds: Count = 8
    """How many seeds are trained at once in the last work."""
    rounds: Annotated[int, Ge(1)] = 5
    """How often everybody's turn comes; the median of the rounds' ratios counts."""
    pause: Annotated[float, Ge(0)] = 0.3
    """Seconds before everybody's turn."""
    surface_examples: Annotated[int, Ge(1), of_train] = 10_000
    """Images over which the surface averages the cost."""
    resolution: Annotated[int, Interval(ge=2, le=1001)] = 51
    """Points along each side of the surface's grid."""


QUICK = Settings(num_seeds=4, rounds=3, num_examples=6000, surface_examples=1000, resolution=11)
FULL = Settings(rounds=11, num_seeds=16)
AT_C = {  # where the library's time goes
    "an epoch of SGD": "JAX's runtime hands half of a step's larger products to a second thread, which gains nothing: "
    "on one core alone (PJRT_NPROC=1, --cpu-devices 1) C takes 0.75 to 0.78. Fetching the rows of a batch byte by byte "
    "takes a third of a step, which C does while it computes",
    "the gradient over all images": "on one core the two products with the pixels take 25 of 44 ms, near sgemm's rate; "
    "making floats of the pixels takes 11, which C does with 100 images at a time, in the cache of its core",
    "variance of all single gradients": "the library writes every single gradient to memory, 25 images' at a time, and "
    "reads them again for the sums; C forms a derivative in a register and keeps none",
    "the same by the layers' factors": "on one core three products with the pixels take 40 of 87 ms; floats, squares "
    "and norms of the pixels, which C makes in the cache of its core (and no norms), take 26",
}


class Timed(NamedTuple):
    name: str
    ways: tuple[str, ...]  # of which the first is the library's
    seconds: Float[np.ndarray, "ways rounds"]  # of the whole work
    apart: Float[np.ndarray, "ways"]  # largest difference from the library's result over its largest number
    missing: tuple[str, ...]  # who takes no part, and why

    @property
    def ratios(self) -> np.ndarray:
        """How many times as long as the library each takes: the median of the rounds' ratios."""
        return np.median(self.seconds / self.seconds[0], axis=1)


class Result(NamedTuple):
    works: tuple[Timed, ...]
    peers: tuple[str, ...]  # their versions, or that they are not here
    device: str


def measure(problem: Problem, settings: Settings) -> Result:
    contest = works.prepare(problem, settings.seed)
    timed = [take_turns(work, settings.rounds, settings.pause) for work in works.all_works(settings, contest)]
    device = jax.local_devices()[0]
    on = f"{jax.device_count()} x {device.device_kind} ({device.platform})"
    return Result(tuple(timed), tuple(versions()), on)


def versions() -> Iterator[str]:
    """Of everybody whom this project does not bring along."""
    yield in_c.compiler() or "no C compiler here"
    for name, version in (("PyTorch", peers.torch_version()), ("Opacus", peers.opacus_version()),
                          ("BackPACK", peers.backpack_version())):  # fmt: skip
        yield f"{name} {version}" if version else f"{name} not installed here"


def take_turns(work: Work, rounds: int, pause: float) -> Timed:
    """Everybody's seconds in every round, after a first that is not counted; one row stands for a whole grid."""
    found = [flat(way.call()) for way in work.ways.values()]
    own = found[0]
    apart = [np.max(np.abs(own[: len(other)] - other), initial=0) / np.max(np.abs(own)) for other in found]
    seconds = runs.seconds_in_turn({label: way.call for label, way in work.ways.items()}, rounds, pause=pause)
    whole = np.array([way.times * np.array(seconds[label]) for label, way in work.ways.items()])
    runs.console.print(f"{work.name}: {1000 * np.median(whole[0]):,.0f} ms")
    records.trim_memory()
    return Timed(work.name, tuple(work.ways), whole, np.array(apart, float), work.missing)


def flat(result: Any) -> np.ndarray:
    """All numbers of a result of JAX, numpy or PyTorch, one after the other."""
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(result)])


def claims(result: Result, settings: Settings) -> Claims:
    yield identity("speed", "all contestants compute the same: largest difference over the largest number",
                   max(timed.apart.max() for timed in result.works), at_most(1e-3), "relative, float32",
                   "one definition")  # fmt: skip
    for timed in result.works:
        for way in {works.ONE_THREAD, works.ALL_CORES}.intersection(timed.ways):
            asked = benchmark_figures.ASKED[timed.name, way]
            yield speed("speed", f"{timed.name}: {way}, takes", timed.ratios[timed.ways.index(way)], at_least(asked),
                        "times as long as the library", f"a wish: the library in {1 / asked:.2f} of C's time",
                        AT_C[timed.name])  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    parts = []
    for timed in result.works:
        others = sorted((ratio, way) for way, ratio in list(zip(timed.ways, timed.ratios, strict=True))[1:])
        named = [(ratio, benchmark_figures.PLAINLY.get(way, way)) for ratio, way in others if way != works.BOUND]
        ends = dict.fromkeys((named[0], named[-1]))
        said = ", ".join(f"{label}: {ratio:.1f}" for ratio, label in ends)
        parts.append(f"{timed.name} {1000 * np.median(timed.seconds[0]):,.0f} ms ({said} times as long)")
    return (
        f"The library takes for {'; '.join(parts)}. The quickest and the slowest of the others, medians of the ratios "
        "round by round."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"benchmark": benchmark_figures.dots(result, settings.rounds)}
