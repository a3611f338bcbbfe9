"""How much faster do more devices make it, and where can they not?

Four works, on 1, 2, 4, ... of the devices and on the processes that --processes asks for (started here, over the
loopback address, one device each): the gradient over all images, of which every device averages its share; a run of
mini-batches for every device, whatever --num-seeds says; one such run, whose batches of 100 are shared out; and the
all-reduces alone, which add up one number for every parameter, once a step. Devices of a CPU share its cores and its
memory: more devices than cores show nothing, and one device alone borrows threads of the others: that helps it with
large products, and holds it up with small ones. Processes are timed one group after the other.

For large machines on paper (on_paper.py): what an all-reduce takes against the arithmetic that it spares, hence the
batch from which on devices gain anything. The numbers of the machine are settings; their sources stand beside them.

Run:     python -m experiments scaling [--quick | --full]
Time:    --full 90 s on 2 cores, compilation included
Result:  (2 cores) two devices are 1.76 times as fast for the gradient over all images, 1.95 times for a run on each,
         0.29 times for shared mini-batches of 100; on paper 13,002 parameters gain above batches of 1,813 on 8 GPUs
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge, Interval, MinLen
from jaxtyping import Float, Int

from experiments.common import experiment, hosts, on_paper, plots, processes, shared_works
from experiments.common.bounds import of_train, require, rising
from experiments.common.claims import Claims, about, at_least, at_most, identity, prediction, speed
from experiments.common.on_paper import Net
from experiments.common.problem import Problem
from experiments.common.shared_works import BATCHES, REDUCES, RUNS, WHOLE
from experiments.networks import scaling_figures as drawn

Rate = Annotated[float, Interval(ge=1e3, le=1e21)]
Latency = Annotated[float, Interval(ge=0, le=1)]


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    batch_size: Annotated[int, Ge(1), of_train] = 100
    """Images of a mini-batch."""
    rounds: Annotated[int, Ge(1)] = 5
    """How often everybody's turn comes."""
    processes: Annotated[tuple[int, ...], Interval(ge=1, le=64), MinLen(1), rising] = (1, 2)
    """How many processes of this machine work together."""
    large: Annotated[int, Interval(ge=1, le=10**15)] = 10**8
    """Parameters of the second network on paper."""
    num_gpus: Annotated[int, Interval(ge=2, le=10**6)] = 8
    """GPUs of one host, on paper."""
    num_hosts: Annotated[int, Interval(ge=2, le=10**6)] = 64
    """Hosts of one GPU each, on paper."""
    flops: Rate = 67e12
    """Operations a second of a GPU: float32, peak, of NVIDIA's data sheet of the H100 SXM."""
    gpu_bandwidth: Rate = 450e9
    """Bytes a second from a GPU to the next: NVLink, one direction, same data sheet."""
    host_bandwidth: Rate = 50e9
    """Bytes a second from host to host: InfiniBand NDR, 400 Gbit/s."""
    gpu_latency: Latency = 0.5e-6
    """Seconds of a message from GPU to GPU: NVLink, ring, protocol LL, in NCCL's src/graph/tuning.cc."""
    host_latency: Latency = 2.7e-6
    """Seconds of a message from host to host: network, ring, protocol LL, same source."""

    @property
    def nets(self) -> dict[str, Net]:
        return {
            f"{self.num_gpus} GPUs": Net(self.num_gpus, self.flops, self.gpu_bandwidth, self.gpu_latency),
            f"{self.num_hosts} hosts": Net(self.num_hosts, self.flops, self.host_bandwidth, self.host_latency),
        }


QUICK = Settings(rounds=3, num_examples=6000)
FULL = Settings(rounds=11)


BORROWED = "one device alone borrows the other's thread; they share the memory, and on one core there is no other"
FETCHED = (
    "finding: a shared step takes longer than a whole one and its all-reduces together, so that fetching all rows on "
    "every device, which the model leaves out, is not all; a profile of a shared step would decide"
)
SLOW_STEP = "where a step takes longer than that, as on a slow core, a share of it is worth a message"


class Result(NamedTuple):
    devices: Int[np.ndarray, "counts"]
    seconds: Float[np.ndarray, "counts works rounds"]
    processes: Int[np.ndarray, "groups"]
    process_seconds: Float[np.ndarray, "groups works rounds"]
    apart: Float[np.ndarray, "places"]  # largest difference from the gradient of one device, over its largest number
    num_steps: int
    num_parameters: int
    machine: str

    @property
    def speed_up(self) -> np.ndarray:  # counts, works; with a run on each there is more to do
        found = np.median(self.seconds[0] / self.seconds, axis=-1)
        found[:, RUNS] *= self.devices
        return found

    @property
    def against_the_model(self) -> float:  # of mini-batches shared out over all devices
        alone, reduces = np.median(self.seconds[0, BATCHES]), np.median(self.seconds[-1, REDUCES])
        return np.median(self.seconds[-1, BATCHES]) / (alone / self.devices[-1] + reduces)

    @property
    def speed_up_of_processes(self) -> np.ndarray:  # groups, works; no ratios by rounds, for groups have no common ones
        found = np.median(self.process_seconds[0], axis=-1) / np.median(self.process_seconds, axis=-1)
        found[:, RUNS] *= self.processes / self.processes[0]
        return found


def measure(problem: Problem, settings: Settings) -> Result:
    require(not hosts.are_several(), "scaling starts its processes itself; start it alone")
    have = jax.devices()
    counts = [2**power for power in range(len(have).bit_length()) if 2**power < len(have)] + [len(have)]
    seconds, grads = shared_works.times(problem, settings, {count: have[:count] for count in counts})
    found = [processes.together(count, shared_works.of_this_process, settings) for count in settings.processes]
    alone, others = grads[1], [*grads.values(), *(each for _, each in found)]
    return Result(
        np.array(counts), np.array([seconds[count] for count in counts]), np.array(settings.processes),
        np.array([seconds for seconds, _ in found]),
        np.array([np.abs(each - alone).max() / np.abs(alone).max() for each in others]),
        len(problem.train.inputs) // settings.batch_size, problem.num_parameters,
        f"{len(have)} x {have[0].device_kind} ({have[0].platform}), {experiment.CORES} cores",
    )  # fmt: skip


def claims(result: Result, settings: Settings) -> Claims:
    yield identity("E22", "all groups of devices and processes find the same gradient", result.apart.max(),
                   at_most(1e-5), "relative, float32", "sums in another order")  # fmt: skip
    count, gained = result.devices[-1], result.speed_up[-1]
    if count > 1:
        each = f"{count} devices, times as fast as one"
        yield speed("E22", "devices share out the gradient over all images", gained[WHOLE], at_least(0.85 * count),
                    each, "a wish: 1.7 on two", BORROWED)  # fmt: skip
        yield speed("E22", "every device follows a run of its own", gained[RUNS], at_least(0.95 * count),
                    each, "a wish: 1.9 on two", BORROWED)  # fmt: skip
        yield prediction("E22", "mini-batches that are shared out take their share of one device's time and the "
                         "all-reduces", result.against_the_model, about(1, share=0.25), "measured / computed",
                         "the model on paper, with the all-reduces timed here", FETCHED)  # fmt: skip
    if len(result.processes) > 1 and result.processes[0] == 1:
        yield prediction("E22", f"mini-batches of {settings.batch_size} are slower on {result.processes[-1]} processes "
                         "than on one", result.speed_up_of_processes[-1, BATCHES], at_most(1), "times as fast",
                         "half a step takes 40 to 90 us, an all-reduce by sockets more", SLOW_STEP)  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    count, gained = result.devices[-1], result.speed_up[-1]
    alone = [1000 * np.median(each[0, WHOLE]) for each in (result.process_seconds, result.seconds)]
    reduce = 1e6 * np.median(result.seconds[-1, REDUCES]) / result.num_steps
    parts = [
        f"On {count} devices ({result.machine}) the gradient over all images is {gained[WHOLE]:.2f} times as fast as "
        f"on one, runs of their own {gained[RUNS]:.2f} times, shared mini-batches of {settings.batch_size} "
        f"{gained[BATCHES]:.2f} times (an all-reduce takes {reduce:.0f} us)"
    ]
    for number, of in zip(result.processes[1:], result.speed_up_of_processes[1:], strict=True):
        parts.append(
            f"on {number} processes, against one, {of[WHOLE]:.2f}, {of[RUNS]:.2f} and {of[BATCHES]:.2f} times (the "
            f"gradient takes {alone[0]:.0f} ms on one process, {alone[1]:.0f} on one device)"
        )
    for size in (result.num_parameters, settings.large):
        least = (f"{on_paper.least_batch(net, size):,.0f} on {name}" for name, net in settings.nets.items())
        parts.append(f"on paper {size:,} parameters gain with batches above {' and '.join(least)}")
    return "; ".join(parts) + "."


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"scaling": drawn.measured_and_on_paper(result, settings)}
