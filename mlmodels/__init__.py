"""Machine-learning models that scientists plug in: the fourth floor; it may use clusters, and knows no calculations."""
