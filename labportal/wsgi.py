"""The WSGI application: all but sockets and held exchanges. asgi.py serves it in its threads."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labportal.settings")

application = get_wsgi_application()
