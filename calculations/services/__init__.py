"""The verbs of calculations. They take objects and plain values, raise DomainError, and know no
request.
"""
