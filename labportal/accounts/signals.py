"""What accounts tells the rest: `acted` after each act worth an audit row.

Accounts stands below the audit app and cannot call it; the audit app listens, in the same
transaction.
"""

from django.dispatch import Signal

#: Sent with actor (User or None), verb (str), target (str), detail (dict without secrets).
acted = Signal()
