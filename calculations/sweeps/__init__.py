"""Sweeps without a database: axes and their values, rotations, and the runs that they make."""
