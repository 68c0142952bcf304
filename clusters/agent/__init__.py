"""The agent beside the hardware: standard library only, Python 3.9, carried as one file."""

__version__ = "0.1.0"
