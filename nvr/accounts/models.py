"""API keys: long random secrets, stored as digests, with the permissions of their user or read-only."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.validators import MinLengthValidator
from django.db import DatabaseError, models, transaction
from django.utils import timezone

from nvr.audit.actor import Actor
from nvr.audit.record import record

logger = logging.getLogger(__name__)

KEY_PATTERN = re.compile(r"nvr_([0-9A-Za-z]{8})_([0-9A-Za-z_-]{43})")
LAST_USED_PRECISION = timedelta(minutes=1)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

USER_FIELDS = ("is_superuser", "username", "is_staff", "is_active")  # in the order of the model, as from_db() needs
# Plain SQL, since it runs with every request: compiling the same queryset takes several times as long as executing it.
KEY_WITH_USER = """
    SELECT k.*, u.is_superuser, u.username, u.is_staff, u.is_active
    FROM accounts_apikey k JOIN auth_user u ON u.id = k.user_id
    WHERE k.prefix = %s
"""


def digest(secret: str) -> str:
    # 256 random bits need no slow hash: they cannot be guessed.
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def visible_to(self, user: Actor) -> ApiKeyQuerySet:
        return self if user.is_superuser else self.filter(user=user.pk)

    def issue(
        self,
        *,
        user: User,
        name: str,
        read_only: bool = False,
        expires_at: datetime | None = None,
        actor: User | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key for `user`; its text is returned only this once."""
        secret = secrets.token_urlsafe(32)
        prefix = "".join(secrets.choice(ALPHABET) for _ in range(8))
        with transaction.atomic():
            key = self.create(
                user=user,
                name=name,
                prefix=prefix,
                digest=digest(secret),
                read_only=read_only,
                expires_at=expires_at,
            )
            record(
                actor,
                "api_key_issued",
                key,
                {"user": (None, user.get_username()), "read_only": (None, read_only)},
            )
        return key, f"nvr_{prefix}_{secret}"

    def find(self, text: str) -> ApiKey | None:
        """Return the key with this text if it is valid, not expired and its user is active; one query.

        The user has the fields that permissions need; the others are deferred.
        """
        match = KEY_PATTERN.fullmatch(text)
        key = next(iter(self.raw(KEY_WITH_USER, [match[1]])), None) if match else None
        # Takes the same time for all wrong secrets, so that they cannot be guessed character by character.
        if match is None or key is None or not hmac.compare_digest(key.digest, digest(match[2])):
            return None
        # Without a second query for the user.
        key.user = User.from_db(self.db, ["id", *USER_FIELDS], [key.user_id, *map(vars(key).get, USER_FIELDS)])
        return key if key.is_usable else None


class ApiKey(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(
        max_length=100, validators=[MinLengthValidator(1)], help_text="Which device or program uses it."
    )
    # In plain text: it identifies a key in lists, and finds it with one query.
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    read_only = models.BooleanField(default=False, help_text="May look, but change nothing.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it does not expire.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} (nvr_{self.prefix}_…)"

    @property
    def is_usable(self) -> bool:
        return self.user.is_active and (self.expires_at is None or self.expires_at > timezone.now())

    def touch(self) -> None:
        """Update `last_used_at` at most once a minute, so that a busy client costs no write per request.

        If the database is not writable (a full disk), the key still works.
        """
        now = timezone.now()
        if self.last_used_at is not None and now - self.last_used_at <= LAST_USED_PRECISION:
            return
        try:
            with transaction.atomic():
                ApiKey.objects.filter(pk=self.pk).update(last_used_at=now)
        except DatabaseError as error:
            logger.warning("last use of API key not saved key=%s error=%s", self.pk, type(error).__name__)
