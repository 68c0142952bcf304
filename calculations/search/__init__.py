"""Search: what a person asks in words or conditions, understood once and applied everywhere.

`parse(text, user=…)` makes a Query, `apply(query, rows)` narrows calculations, runs, structures or
quantities by it.
"""

from calculations.search.applying import apply
from calculations.search.parsing import LONGEST, parse
from calculations.search.query import Condition, Field, Query

__all__ = ["LONGEST", "Condition", "Field", "Query", "apply", "parse"]
