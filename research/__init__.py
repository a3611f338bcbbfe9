"""What backpropagation and stochastic gradient descent really do, as pure functions.

Reading order: each file needs only the ones before it.

1.  data.py       the examples: images as rows of grey levels, targets one-hot
2.  costs.py      the cost of ONE example, a function of (output, target)
3.  models.py     the network as a pair of pure functions, (init, apply); its parameters are a pytree
4.  gradients.py  lifts in the manner of jax.grad: one example -> the mean, one example -> a gradient each
5.  backprop.py   the chain rule by hand, as the film tells it: nudges, avenues, columns, ledgers
6.  training.py   one step, a schedule of examples, and the loops that follow it
7.  sharding.py   one run -> many runs at once, a share of them on every device

Nothing here is jitted, prints, or holds state: the scripts in experiments/ do that.
"""
