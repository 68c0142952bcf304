"""Throw-away sites with a scripted scheduler, to see the portal survive what real ones do.

Nothing here knows Django: the programs are called very often and must start at once.
"""
