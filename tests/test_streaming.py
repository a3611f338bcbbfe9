"""A stream gives what the set in memory gives, and does so in less memory than the set has."""

import json
import socket
import sys
import textwrap
import time
import weakref
from functools import partial
from pathlib import Path

import forked
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from research import costs, data, gradients, models, sharding, streaming, training
from research.data import Examples

HERE = Path(__file__).parent
NUM_EXAMPLES, NUM_CLASSES = 103, 3


class Source:
    """Random access, one example at a time, as TFDS and grain have it."""

    def __init__(self):
        draw = np.random.default_rng(0)
        self.images = draw.integers(0, 256, (NUM_EXAMPLES, 2, 3, 1), np.uint8)
        self.labels = draw.integers(0, NUM_CLASSES, NUM_EXAMPLES)

    def __len__(self):
        return NUM_EXAMPLES

    def __getitem__(self, row):
        return {"image": self.images[row], "label": self.labels[row]}


class ManyAtOnce(Source):
    def __getitem__(self, row):
        raise AssertionError("rows are to be read together where the source can")

    def __getitems__(self, rows):
        return [Source.__getitem__(self, row) for row in rows]


@pytest.fixture(params=[Source, ManyAtOnce])
def source(request):
    return request.param()


@pytest.fixture
def model():
    return models.mlp((6, 4, NUM_CLASSES), jax.nn.sigmoid)


def cost_of(model):
    return gradients.mean_over_examples(gradients.example_cost(model.apply, costs.sum_of_squares))


def in_memory(source):
    images = jnp.asarray(source.images.reshape(NUM_EXAMPLES, -1))
    return Examples(images, jnp.asarray(data.one_hot(source.labels, NUM_CLASSES)))


@pytest.mark.parametrize("chunk_size", [1, 10, NUM_EXAMPLES, 1000])
def test_gradient_over_the_stream_is_the_full_gradient(source, model, chunk_size):
    params, gradient = model.init(jax.random.key(0)), jax.jit(jax.value_and_grad(cost_of(model)))
    expected = gradient(params, in_memory(source))
    read = streaming.reader(source, NUM_CLASSES)
    found = streaming.mean_over_stream(gradient, params, read, len(source), chunk_size)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.linalg.norm(ours - theirs) <= 1e-6 * np.linalg.norm(theirs)


def test_processes_share_the_stream_out_between_them(source, model, monkeypatch):
    """Three processes, one after the other: the sum of what they contribute is the whole, and no row is read twice."""
    params, cost = model.init(jax.random.key(0)), jax.jit(cost_of(model))
    seen, parts = [], []
    read = streaming.reader(source, NUM_CLASSES)
    gather = lambda total: parts.append(total) or total[None]
    monkeypatch.setattr(streaming.multihost_utils, "process_allgather", gather)
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    for index in range(3):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        noted = lambda rows: seen.extend(rows.tolist()) or read(rows)
        streaming.mean_over_stream(cost, params, noted, len(source), 10)
    assert sorted(seen) == list(range(NUM_EXAMPLES))
    np.testing.assert_allclose(sum(parts), cost(params, in_memory(source)), rtol=1e-6)
    with pytest.raises(ValueError, match=r"2 examples .* 3 processes"):
        streaming.mean_over_stream(cost, params, read, 2, 10)


def test_the_mean_keeps_its_type_where_numbers_are_double(x64):
    read = lambda rows: Examples(rows[:, None].astype(np.float32), rows[:, None].astype(np.float64))
    mean = lambda shift, examples: {"f32": jnp.mean(examples.inputs) + shift, "f64": jnp.mean(examples.targets)}
    found = streaming.mean_over_stream(mean, jnp.float32(1), read, 5, 2)
    assert (found["f32"].dtype, found["f64"].dtype) == (jnp.float32, jnp.float64)
    assert found["f32"] == 3


def test_minibatches_of_the_stream_take_the_same_steps(source, model):
    params, optimizer = model.init(jax.random.key(0)), optax.sgd(1.0)
    step = jax.jit(training.make_step(cost_of(model), optimizer))
    state = start = training.TrainState(params, optimizer.init(params))
    schedule = training.shuffled_schedule(jax.random.key(1), NUM_EXAMPLES, 10, num_epochs=3)
    last, history = training.minibatch_descent(step, start, in_memory(source), schedule, lambda state: state.params)
    seen, batches = [], streaming.stream(streaming.reader(source, NUM_CLASSES), np.asarray(schedule).reshape(-1, 10))
    for batch in batches:
        state, cost = step(state, batch)
        seen.append(cost)
    np.testing.assert_allclose(seen, history.costs.ravel(), rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def rows_of(process, count, monkeypatch, batch_size=12, num_epochs=3, seed=7):
    """Of every step, (steps, share of the batch): what one of `count` processes is to read."""
    monkeypatch.setattr(jax, "process_index", lambda: process)
    monkeypatch.setattr(jax, "process_count", lambda: count)
    return np.stack(list(streaming.shuffled(seed, NUM_EXAMPLES, batch_size, num_epochs)))


def test_an_epoch_has_every_example_at_most_once_and_is_another_each_time(monkeypatch):
    epochs = rows_of(0, 1, monkeypatch).reshape(3, -1)
    assert epochs.shape[1] == NUM_EXAMPLES // 12 * 12
    assert all(len(set(epoch)) == len(epoch) and set(epoch) <= set(range(NUM_EXAMPLES)) for epoch in epochs.tolist())
    assert len({frozenset(epoch) for epoch in epochs.tolist()}) == 3  # others are left over each time
    whole = rows_of(0, 1, monkeypatch, batch_size=NUM_EXAMPLES)
    assert (np.sort(whole) == np.arange(NUM_EXAMPLES)).all()


def test_a_seed_gives_its_order_again_and_another_seed_another(monkeypatch):
    one, again, other = (rows_of(0, 1, monkeypatch, seed=seed) for seed in (7, 7, 8))
    assert (one == again).all()
    assert not any((one[:8] == other[first : first + 8]).all() for first in range(0, len(other), 8))


@pytest.mark.parametrize("count", [2, 3, 12])
def test_the_shares_of_processes_are_the_batch_of_one(count, monkeypatch):
    shares = np.concatenate([rows_of(process, count, monkeypatch) for process in range(count)], axis=1)
    assert (np.sort(shares) == np.sort(rows_of(0, 1, monkeypatch))).all()


@pytest.mark.parametrize(("batch_size", "count"), [(0, 1), (NUM_EXAMPLES + 1, 1), (10, 3)])
def test_batches_that_cannot_be_shared_are_refused(batch_size, count, monkeypatch):
    with pytest.raises(ValueError, match=f"batches of {batch_size} from 103 examples .* {count} processes"):
        rows_of(0, count, monkeypatch, batch_size)


@pytest.mark.parametrize("done", [0, 1, 11, 24])
def test_a_resumed_stream_goes_on_with_the_same_batches(source, done):
    batches = streaming.shuffled(7, NUM_EXAMPLES, 12, num_epochs=3)
    first, resumed = (streaming.stream(streaming.reader(source, NUM_CLASSES), batches) for _ in range(2))
    for _ in range(done):
        next(first)
    resumed.set_state(json.loads(json.dumps(first.get_state())))  # as from a file
    expected, found = list(first), list(resumed)
    assert len(expected) == 24 - done == len(found)
    assert all(map(np.array_equal, jax.tree.leaves(expected), jax.tree.leaves(found)))


def test_at_most_three_batches_are_held():
    """Read and not yet let go of: the caller's, and two that are ahead of it."""
    held, most = weakref.WeakSet(), []

    def read(rows):
        batch = np.zeros(3).view(Noted)
        held.add(batch)
        most.append(len(held))
        return batch

    for _ in streaming.stream(read, range(50)):
        time.sleep(0.001)
    assert len(most) == 50
    assert max(most) <= 3


class Noted(np.ndarray):
    """An array that can be watched."""

    __hash__ = object.__hash__


def shared_work():
    """A full gradient, and 8 steps of which each process reads its share: all numbers, one after the other."""
    draw = np.random.default_rng(0)
    source = [{"image": draw.integers(0, 256, (2, 3), np.uint8), "label": row % 3} for row in range(25)]
    model, sgd = models.mlp((6, 4, 3), jax.nn.sigmoid), optax.sgd(1.0)
    read, params, cost = streaming.reader(source, 3), model.init(jax.random.key(0)), cost_of(model)
    full = streaming.mean_over_stream(jax.jit(jax.grad(cost)), params, read, len(source), 4)
    step = jax.jit(training.make_step(cost, sgd))
    state = sharding.of_all_processes(training.TrainState(params, sgd.init(params)))
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("examples",))
    put_together = partial(jax.make_array_from_process_local_data, NamedSharding(mesh, PartitionSpec("examples")))
    for share in streaming.stream(read, streaming.shuffled(1, len(source), 6, num_epochs=2)):
        state, seen = step(state, jax.tree.map(put_together, share))
    found = (full, state.params, seen)
    return np.concatenate([np.ravel(leaf.addressable_data(0)) for leaf in jax.tree.leaves(found)]).tolist()


IN_ANOTHER_PROCESS = """
import json, sys, jax, test_streaming
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
print(json.dumps(test_streaming.shared_work()))
"""


def test_two_processes_that_share_the_stream_find_what_one_finds(tmp_path):
    """The rows are read by one of them, and JAX averages over both: real processes of one device on the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [
        forked.start(["-c", IN_ANOTHER_PROCESS, address, str(index)], HERE, tmp_path / str(index), JAX_PLATFORMS="cpu")
        for index in range(2)
    ]
    alone = shared_work()
    for process in both:
        code, out, errors = process.ended()
        assert code == 0, errors
        np.testing.assert_allclose(json.loads(out.splitlines()[-1]), alone, rtol=1e-5, atol=1e-6)


LARGER_THAN_MEMORY = """
    import resource, jax, numpy as np
    from research import costs, gradients, models, streaming

    class Generated:
        def __len__(self): return 400
        def __getitem__(self, row): return {"image": np.full(2**20, row % 256, np.uint8), "label": row % 2}

    model = models.mlp((2**20, 1, 2), jax.nn.sigmoid)
    cost = gradients.mean_over_examples(gradients.example_cost(model.apply, costs.sum_of_squares))
    gradient, source = jax.jit(jax.grad(cost)), Generated()
    params, read = model.init(jax.random.key(0)), streaming.reader(source, 2)
    streaming.mean_over_stream(gradient, params, read, 4, 2)  # compiles; the limit is for what comes after
    with open("/proc/self/statm") as file: held = int(file.read().split()[0]) * resource.getpagesize()
    limit = held + 50 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    {work}
    print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits the address space")
@pytest.mark.parametrize(
    ("work", "fits"),
    [
        ("streaming.mean_over_stream(gradient, params, read, len(source), 2)", True),
        ("read(np.arange(len(source)))", False),
    ],
)
def test_a_set_larger_than_the_limit_is_streamed_and_cannot_be_loaded(work, fits, tmp_path):
    """400 images of 1 MiB, where the process may have 50 MiB more than it has: the set in memory does not fit."""
    program = textwrap.dedent(LARGER_THAN_MEMORY).replace("{work}", work)
    _, out, errors = forked.start(["-c", program], tmp_path, tmp_path).ended()
    assert (out == "done\n") == fits, errors
    assert fits or "MemoryError" in errors
