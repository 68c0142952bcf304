"""Structures as files: formats, what identifies a structure, its picture. No database, no request.

The portal's side; what plug-ins and the agent know of atoms is calculations/software/structure.py.
"""
