"""The project itself. Imports nothing, since the client and its command line stand in here too.

The Celery application is loaded with the app `labportal` (apps.py): shared tasks bind to it.
"""
