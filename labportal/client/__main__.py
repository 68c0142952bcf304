"""`python -m labportal.client`: the command line, where its script is not on the path."""

from labportal.client.cli import main

main()
