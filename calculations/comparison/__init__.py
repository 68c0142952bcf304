"""Calculations side by side: what differs, what was found, and charts laid over each other.

Read by the page, the REST interface and the client. As many queries for two as for twenty.
"""
