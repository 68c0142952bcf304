"""Keyset pagination for the API: pages stay right while rows arrive, and none is dear."""

from rest_framework.pagination import CursorPagination


class KeysetPagination(CursorPagination):
    """A view sets `ordering` to an indexed, unique order; newest first unless told."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    cursor_query_param = "after"
    ordering = "-id"
