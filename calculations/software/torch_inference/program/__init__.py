"""What runs on the cluster: a coordinator, one host a node, and the ranks that a host forks.

The plug-in copies these files into the run's folder. Standard library at module level; torch and
numpy are imported inside functions of hosts and ranks.
"""
