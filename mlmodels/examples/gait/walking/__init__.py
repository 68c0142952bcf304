"""Walks: how they are made up, what is measured on them, and the classifier of them. numpy alone.

A walk is an array (frames, 16): x and y of hip, knee, ankle and toe, first of the left leg, then of
the right one, seen from the side, in any unit.
"""
