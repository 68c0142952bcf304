"""The analyses that programs share: each module owns one, as functions on plain results.

A plug-in's own analyses.py names those that its data allow. Standard library only and Python 3.9,
since the agent carries this folder to login nodes.
"""
