"""Works that are shared out over devices, and timed, in this process or in several."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax

from experiments.common import runs
from experiments.common.problem import Problem
from research import gradients, sharding, training
from research.training import TrainState

WORKS = ("the gradient over all images", "a run on each", "mini-batches shared out", "the all-reduces alone")
WHOLE, RUNS, BATCHES, REDUCES = range(len(WORKS))
SGD = optax.sgd(1.0)


def of_this_process(problem: Problem, settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """(seconds of every work, works x rounds; the gradient) on the devices of all processes that make this call."""
    seconds, grads = times(problem, settings, {0: jax.devices()})
    return seconds[0], grads[0]


def times(problem: Problem, settings: Any, groups: dict[int, Sequence]) -> tuple[dict, dict]:
    """(seconds, works x rounds; the gradient) of every group of devices, all of them in turn."""
    calls = {group: works_on(problem, settings, devices) for group, devices in groups.items()}
    grads = {group: flat(ways[WHOLE]()) for group, ways in calls.items()}
    in_turn = {f"{group} {work}": way for group, ways in calls.items() for work, way in enumerate(ways)}
    seconds = runs.seconds_in_turn(in_turn, settings.rounds)
    return {group: np.array([seconds[f"{group} {work}"] for work in range(len(WORKS))]) for group in groups}, grads


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def works_on(problem: Problem, settings: Any, devices: Sequence) -> list[Callable]:
    """The four works on these devices, without arguments."""
    count, batch = len(devices), settings.batch_size
    own = [device for device in devices if device.process_index == jax.process_index()]
    num_steps = len(problem.train.inputs) // batch
    order = np.random.default_rng(settings.seed).permutation(len(problem.train.inputs)).astype(np.int32)
    rows = order[: num_steps * batch].reshape(-1, batch)
    start = jax.vmap(problem.model.init)(jax.random.split(jax.random.key(settings.seed), count))
    train, rows, start = sharding.on_every_device((problem.train, rows, start), devices=own)
    first = jax.tree.map(lambda leaf: leaf[:1], start)

    def reduces(params: Any) -> Any:
        add = lambda total, _: (jax.tree.map(lambda leaf: leaf / count, jax.lax.psum(total, sharding.EXAMPLES)), None)
        return jax.lax.scan(add, params, length=num_steps)[0]

    def call(fun: Callable, *args: Any) -> Callable:
        axes = (0, *(None for _ in args[1:]))
        program = sharding.together(runs.compiled(sharding.over_devices(fun, axes, devices=devices)))
        return lambda: program(*args)

    shared = gradients.mean_over_examples(problem.example_cost, chunk_size=max(1, batch // count))
    alone = gradients.mean_over_examples(problem.example_cost)
    return [call(jax.grad(problem.cost), first, train), call(epoch(alone), start, train, rows),
            call(epoch(shared), first, train, rows), call(reduces, first)]  # fmt: skip


def epoch(objective: Callable) -> Callable:
    """(parameters, images, their rows in every step) -> the parameters after these steps."""
    step = training.make_step(objective, SGD)

    def run(params: Any, train: Any, rows: Any) -> Any:
        start = TrainState(params, SGD.init(params))
        return training.minibatch_descent(step, start, train, rows[None], lambda state: ())[0].params

    return run
