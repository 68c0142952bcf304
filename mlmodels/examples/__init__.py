"""Models to start from, each in a folder of its own; `bundle` puts one together, as the folder that
a container is built from and a process is started in.
"""
