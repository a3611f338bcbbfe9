"""Other costs, other networks, other ways down, and what they cost: questions of the film's readers, and beyond.

new_cost, what_it_looks_for, hidden_neurons, nielsens_recipe, dead_digits, conv_net, conv_suite,
other_optimizers, exact_optimizers, complexity, benchmark, scaling, play, reliability
"""
