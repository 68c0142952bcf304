"""The same work at several numbers of ranks: speed-up, start-up, stragglers and what each costs."""
