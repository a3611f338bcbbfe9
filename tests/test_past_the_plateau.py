"""past_the_plateau: its smallest run; the laws of the race, and its claims, stand in test_race.py."""

from experiments.mini_batches import past_the_plateau as experiment

SMALLEST = experiment.Settings(
    num_seeds=2, batch_sizes=(2, 8, 32), learning_rates=(1.0, 4.0, 16.0), target=0.6, past=0.85, max_steps=600
)
