"""The REST interface of calculations."""
