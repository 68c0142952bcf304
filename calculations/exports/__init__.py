"""What leaves the portal as a file: one module for each kind, registry.py names them all."""
