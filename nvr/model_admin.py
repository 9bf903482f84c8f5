"""The base of all model admins: restricts lookups in URLs, which could block the server or read hidden fields.

A lookup such as `?notes__contains=fox` comes from the user; Django's admin accepts every lookup of the ORM.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError, models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from nvr.errors import BadRequest

logger = logging.getLogger(__name__)

RowT = TypeVar("RowT", bound=models.Model)

COMPARISONS = {"exact", "in", "isnull", "isempty", "gt", "gte", "lt", "lte"}
TEXT_LOOKUPS = {"iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith"}
DATE_PARTS = {"date", "time", "year", "month", "day", "week", "week_day", "quarter", "hour", "minute", "second"}
# No regular expressions: one such as `^(a+)+$` blocks a thread of the web server forever.
LOOKUPS = COMPARISONS | TEXT_LOOKUPS | DATE_PARTS
SECRET_WORDS = ("password", "digest", "secret", "token")
MAX_LOOKUPS = 20
MAX_VALUE_LENGTH = 1000
MAX_SEARCH_LENGTH = 200  # each word is a condition for each searched field, and SQLite nests them
NOT_USABLE = "The URL contains a filter that cannot be applied: go back to the list and filter again."


class ModelAdmin(admin.ModelAdmin[RowT]):
    """Rejects lookups that are not needed; one that the database cannot answer returns 400, never 500 or 503."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow simple comparisons of non-secret fields of the model, and of those in `list_filter`."""
        name, *rest = lookup.split("__")
        filters = self.get_list_filter(request)
        if lookup in {getattr(each, "parameter_name", None) for each in filters}:
            return True
        for listed in (str(each[0] if isinstance(each, list | tuple) else each) for each in filters):
            if lookup == listed or lookup.startswith(f"{listed}__"):
                return {*lookup.removeprefix(listed).split("__")} <= LOOKUPS | {"", "id"}
        return self._is_plain_field(name) and {*rest} <= LOOKUPS and super().lookup_allowed(lookup, value, request)

    def _is_plain_field(self, name: str) -> bool:
        """Return whether it is a plain, non-secret field; Django redirects unknown fields to the list."""
        try:
            field = self.model._meta.get_field("id" if name == "pk" else name)
        except FieldDoesNotExist:
            return True
        return bool(field.concrete) and not field.many_to_many and not any(word in name for word in SECRET_WORDS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RowT], search_term: str
    ) -> tuple[QuerySet[RowT], bool]:
        if "\0" in search_term:
            raise BadRequest("The search text contains a NUL character: remove it.")
        if len(search_term) > MAX_SEARCH_LENGTH:
            raise BadRequest(f"The search text is too long: use at most {MAX_SEARCH_LENGTH} characters.")
        return super().get_search_results(request, queryset, search_term)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Render the list here, because some lookups fail only when the template reads the rows."""
        values = [value for _, each in request.GET.lists() for value in each]
        if len(values) > MAX_LOOKUPS or any(len(value) > MAX_VALUE_LENGTH for value in values):
            raise BadRequest(NOT_USABLE)
        if request.method == "POST":  # errors of an action are not caused by the URL
            return rendered(super().changelist_view(request, extra_context))
        with usable_lookups(request):
            return rendered(super().changelist_view(request, extra_context))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        with usable_lookups(request):
            return super().get_changelist_instance(request)

    def response_action(self, request: HttpRequest, queryset: QuerySet[RowT], *options: Any) -> Any:
        """Check that the selected ids are valid before the action runs."""
        with usable_lookups(request):
            queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME)).exists()
        return super().response_action(request, queryset, *options)


@contextmanager
def usable_lookups(request: HttpRequest) -> Iterator[None]:
    """Raise `BadRequest` for lookups that the database cannot answer."""
    try:
        yield
    except (ValueError, OverflowError, ValidationError, DataError) as error:
        logger.warning("unusable filter in the admin path=%s", request.path, exc_info=True)
        raise BadRequest(NOT_USABLE) from error


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """Render `response`; raises `BadRequest` where Django would report an invalid database after a failed lookup."""
    if isinstance(response, SimpleTemplateResponse):
        if response.template_name == "admin/invalid_setup.html":
            raise BadRequest(NOT_USABLE)
        response.render()
    return response
