"""What ONE image asks for: "What does it want?" to "propagating backwards".

nudges, hebb, distance_and_slope, pen_and_paper, equations, wiggle, steepest, avenues, repair
"""
