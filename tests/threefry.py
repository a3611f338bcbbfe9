"""The random numbers of jax.random in numpy: what a run began with is found without a program that has to be compiled.
Held against jax.random in test_plain.py.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011), Threefry-2x32 with 20 rounds."""

import numpy as np
from scipy.special import erfinv

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key, counts):
    """Two words for every count (high, low): arrays (2, counts)."""
    words = [np.uint32(key[0]), np.uint32(key[1])]
    words.append(words[0] ^ words[1] ^ np.uint32(0x1BD11BDA))
    with np.errstate(over="ignore"):
        left, right = np.asarray(counts, np.uint32) + np.array(words[:2])[:, None]
        for group in range(5):
            for by in ROTATIONS[group % 2]:
                left = left + right
                right = left ^ (right << np.uint32(by) | right >> np.uint32(32 - by))
            left = left + words[(group + 1) % 3]
            right = right + words[(group + 2) % 3] + np.uint32(group + 1)
    return np.stack([left, right])


def counted(number):
    return np.stack([np.zeros(number, np.uint32), np.arange(number, dtype=np.uint32)])


def key(seed):
    return 0, seed


def fold_in(key, data):
    return tuple(threefry(key, [[0], [data]])[:, 0])


def split(key, number=2):
    return list(zip(*threefry(key, counted(number)), strict=True))


def bits(key, number):
    return np.bitwise_xor(*threefry(key, counted(number)))


def normal(key, shape):
    """float32's 23 bits of a number between -1 and 1, through the inverse of the distribution."""
    low = np.nextafter(np.float32(-1), np.float32(0))
    between = (bits(key, int(np.prod(shape))) >> np.uint32(9) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    return np.sqrt(2) * erfinv(np.maximum(low, between * (1 - low) + low).astype(float)).reshape(shape)


def integers(key, number, below):
    """As jax.random.randint from 0 on: of 64 bits, the remainder."""
    high, low = (bits(each, number).astype(np.uint64) for each in split(key))
    return ((high % below * (2**32 % below) + low) % below).astype(int)


def permutation(key, number):
    """Sorted by random bits, as often as makes two equal ones unlikely."""
    order = np.arange(number)
    for _ in range(int(np.ceil(3 * np.log(number) / np.log(2**32 - 1)))):
        key, by = split(key)
        order = order[np.argsort(bits(by, number), kind="stable")]
    return order


def seed_keys(seed, num_seeds):
    """(for the start, for shuffling) of every seed of a run, as runs.seed_keys."""
    return [split(fold_in(key(seed), index)) for index in range(num_seeds)]


def shuffles(key, number, num_epochs):
    """(epochs, examples): each epoch's order of the examples, as training.shuffled_order."""
    return np.stack([permutation(each, number) for each in split(key, num_epochs)])
