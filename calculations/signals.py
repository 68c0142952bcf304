"""What other floors of the house may listen to; sent after the commit. Calculations knows no
listener.
"""

from django.dispatch import Signal

work_queued = Signal()  # runs were put into the queue; no arguments
cancel_requested = Signal()  # run_ids, cluster_ids: leased runs that should be cancelled
files_kept = Signal()  # calculation: its raw files are to stay; sent inside the transaction
settled = Signal()  # calculations: some of their runs ended, perhaps they did too
time_ending = Signal()  # run_ids: agents have said that their walltime is nearly over
attempts_ended = Signal()  # attempts: just written, of runs with their calculations
