"""The cost as a hill: the drunk man's quick steps, the careful man's slow ones, and where they end.

drunk_man, how_drunk, random_plane, parabola, edge_of_stability, solved_floor, noise_floor,
falling_rate, footsteps, stop_rule, minimum_or_saddle
"""
