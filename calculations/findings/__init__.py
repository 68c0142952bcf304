"""Results across calculations: which quantities there are, rows of them, points of two.

Read by the section Analyses and the REST interface. Everything starts from what the person may
see, and costs the same number of queries whatever there is.
"""
