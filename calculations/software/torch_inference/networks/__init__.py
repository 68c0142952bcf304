"""Networks that are known by name, each in one file that runs on its own: torch is imported inside
functions, and nothing of this project, so that a container can take the file as it is.
"""
