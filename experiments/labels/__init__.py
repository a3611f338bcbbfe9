"""The training data: how many images, how good their labels, and what a second guess is worth.

data_need, wrong_labels, how_many_annotators, second_guess
"""
