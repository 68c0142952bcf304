"""The report of a calculation: gathered once, written as JSON or as PDF."""
