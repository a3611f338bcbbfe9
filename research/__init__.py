"""What backpropagation and stochastic gradient descent really do, as pure functions.

Reading order: each file needs only the ones before it.

1.  data.py       the examples: images as rows of grey levels, targets one-hot
2.  costs.py      the cost of ONE example, a function of (output, target)
3.  models.py     the network as a pair of pure functions, (init, apply); its parameters are a pytree
4.  gradients.py  lifts in the manner of jax.grad: one example -> the mean, one example -> a gradient each
5.  backprop.py   the chain rule by hand, as the film tells it: nudges, avenues, columns, ledgers
6.  training.py   one step, schedules of examples, and the loops that follow them
7.  statistics.py every example's gradient, in bulk: how far they scatter, and what that says of mini-batches
8.  agreement.py  every example's gradient, in bulk: who agrees with whom
9.  landscape.py  the hill: planes through it, shadows of paths, the exact cost on a plane
10. curvature.py  how the hill bends: Hessian times vector, sharpness, trace
11. flax_models.py any module of flax as such a pair (init, apply)
12. sharding.py   one run -> many runs at once, a share of them on every device

plots.py, beside these, draws numpy arrays and needs none of them. Nothing here is jitted, prints, or holds state: the
scripts in experiments/ do that.
"""
