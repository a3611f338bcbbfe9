"""A hundred examples at a time: "shuffle, divide into mini-batches", "a pretty good approximation", "a speed-up".

full_batch_vs_sgd, one_epoch, minibatch_quality, sampling_theory, shuffle_or_not, convex_shuffling, every_order,
batch_frontier, past_the_plateau, critical_batch, one_noisy_step, linear_scaling, larger_batches
"""
