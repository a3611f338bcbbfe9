"""Everybody is asked, and the answers are averaged: "go through this for every training example".

average_of_nudges, running_mean, disputes, only_a_two, more_and_more, conflicts
"""
