"""Secrets that the portal itself must be able to use again (SSH keys), encrypted at rest.

The key is derived from SECRET_KEY; what was sealed under SECRET_KEY_OLD can still be opened.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from labportal.common.errors import DomainError


class SealBroken(DomainError):
    status = 500
    title = "A stored secret cannot be read"
    default_code = "seal-broken"


def seal(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises SealBroken where it was sealed under a key that the portal no longer has."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise SealBroken(
            "It was stored under another SECRET_KEY: enter it again, or set SECRET_KEY_OLD."
        ) from None


def _box() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    digest = hashlib.sha256(b"labportal sealed secrets\0" + key.encode()).digest()
    return base64.urlsafe_b64encode(digest)
