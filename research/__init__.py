"""What backpropagation and stochastic gradient descent really do, as pure functions.

Reading order: each file needs only the ones before it, and now and then sharding.py; the film is the first six.

1.  data.py        the examples: images as rows of grey levels, targets one-hot (datasets.py: the sets of TFDS)
2.  costs.py       the cost of ONE example, a function of (output, target)
3.  models.py      the network as a pair of pure functions, (init, apply); its parameters are a pytree
4.  gradients.py   lifts in the manner of jax.grad: one example -> the mean, one example -> a gradient each
5.  backprop.py    the chain rule by hand, as the film tells it: nudges, avenues, columns
6.  training.py    one step, orders and schedules of examples, and the loops that follow them
7.  layerwise.py   steps in which some layers rest, and each layer's share of the improvement
8.  patching.py    damage in one layer, and one layer's activations put back: which layer is at fault
9.  sampling.py    theory of drawn mini-batches: closed forms, enumerations
10. statistics.py  every example's gradient, in bulk: how far they scatter, and what that says of mini-batches
11. agreement.py   every example's gradient, in bulk: who agrees with whom
12. landscape.py   the cost surface: planes through it, projections of paths, the exact cost on a plane
13. curvature.py   how the cost surface curves: Hessian times vector, eigenvalues at both ends, sharpness
14. fits.py        exponents, curves, intervals and areas, of numpy's numbers
15. paths.py       how a path runs: length, turns, displacement
16. flax_models.py any module of flax as such a pair (init, apply)
17. sharding.py    one run -> many runs at once, a share of them on every device
18. streaming.py   a set larger than memory: its full gradient and mini-batches, read as they are needed

Nothing here is jitted, draws, prints, or holds state: the house in experiments/common does that.
"""
