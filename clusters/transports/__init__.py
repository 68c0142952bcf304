"""The carriers of the exchange: carriage and nothing else."""
