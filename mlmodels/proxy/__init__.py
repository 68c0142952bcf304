"""The inference proxy: native ASGI between whoever calls a model and the replicas that answer.

labportal/asgi.py hands it its paths. It never asks the database in the course of a call: people,
models and limits are known from moments before, and what was done is written down moments later.
"""
