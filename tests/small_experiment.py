"""Does a small experiment find the same on one process and on several?"""

import os
import signal
import time
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge
from jaxtyping import Float

from experiments.common import descents, experiment, hills, resume, runs
from experiments.common.descents import Method
from research.landscape import Plane


@dataclass(frozen=True)
class Settings(experiment.Settings):
    dying: Annotated[int, Ge(-1)] = -1
    """The process that is killed between two exchanges; by default none."""


QUICK = FULL = Settings()


class Result(NamedTuple):
    params: Float[np.ndarray, "seeds params"]
    costs: Float[np.ndarray, "seeds points"]
    heights: Float[np.ndarray, "alphas betas"]


def measure(problem, settings):
    resume.CURRENT.get().pause, resume.PAUSE, resume.SHARE = 0.0, 0.0, float("inf")  # every call is saved at once
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    start = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), 1)
    curve = descents.follow(problem, Method("sgd", 10, optax.sgd(0.5)), start, order, num_steps=20, num_legs=1).curve
    if "SMALL_EXPERIMENT_WAITS" in os.environ:  # for a signal; no setting, for those must stay the same
        time.sleep(600)
    flat = np.concatenate([np.asarray(leaf).reshape(settings.num_seeds, -1) for leaf in jax.tree.leaves(start)], 1)
    if jax.process_index() == settings.dying:
        os.kill(os.getpid(), signal.SIGKILL)
    line = np.linspace(-1, 1, 3, dtype=np.float32)
    heights = hills.surface_of(problem)(Plane(flat[0], np.eye(2, flat.shape[1], dtype=np.float32)), line, line)
    return Result(flat, curve.cost, np.asarray(heights))


def claims(result, settings):
    return ()


def finding(result, settings):
    return "it does"


def figures(result, settings):
    return {}
