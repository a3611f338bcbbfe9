"""A stream gives what the set in memory gives, and does so in less memory than the set has."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research import costs, data, gradients, models, streaming, training
from research.data import Examples

NUM_EXAMPLES, NUM_CLASSES = 103, 3


class Source:
    """Random access, one example at a time, as grain and TFDS have it."""

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


def test_minibatches_of_the_stream_take_the_same_steps(source, model):
    params, optimizer = model.init(jax.random.key(0)), optax.sgd(1.0)
    step = jax.jit(training.make_step(cost_of(model), optimizer))
    start = training.TrainState(params, optimizer.init(params))
    schedule = training.shuffled_schedule(jax.random.key(1), NUM_EXAMPLES, 10, num_epochs=3)
    last, history = training.minibatch_descent(step, start, in_memory(source), schedule, lambda state: state.params)
    read = streaming.reader(source, NUM_CLASSES)
    legs = list(streaming.minibatch_descent(step, start, read, schedule))
    np.testing.assert_allclose(np.stack([seen for _, seen in legs]), history.costs, rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(legs[-1][0]), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    resumed = list(streaming.minibatch_descent(step, legs[0][0], read, schedule[1:]))  # from the state after leg 0
    assert all(map(np.array_equal, jax.tree.leaves(resumed[-1]), jax.tree.leaves(legs[-1])))


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
def test_a_set_larger_than_the_limit_is_streamed_and_cannot_be_loaded(work, fits):
    """400 images of 1 MiB, where the process may have 50 MiB more than it has: the set in memory does not fit."""
    program = textwrap.dedent(LARGER_THAN_MEMORY).replace("{work}", work)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout == "done\n") == fits, done.stderr
    assert fits or "MemoryError" in done.stderr
