"""Numerical software as plug-ins: loaded by the portal for forms, checks and charts, by the agent
for running.
"""
