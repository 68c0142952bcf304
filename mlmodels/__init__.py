"""Machine-learning models that scientists plug in: the fourth floor of the house.

It may use clusters, since models run on them; it knows no calculations.
"""
