"""The product's own password hash, worked out once: a server checks it as any other, and tests wait for one only."""

from __future__ import annotations

from functools import cache

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class OncePerPassword(PBKDF2PasswordHasher):
    """The same password has the same hash."""

    def salt(self) -> str:
        return "0123456789abcdefghijkl"  # 22: with fewer it would be renewed at the first sign-in

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        return encoded(password, salt, iterations)


@cache
def encoded(password: str, salt: str, iterations: int | None) -> str:
    return PBKDF2PasswordHasher().encode(password, salt, iterations)
