"""The carrier `ssh`: the portal signs in and runs the agent for as long as there is something to
say.
"""
