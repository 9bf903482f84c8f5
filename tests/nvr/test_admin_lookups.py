"""What staff may type into an admin's address: nothing that stops the server, or tells what is not shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client, RequestFactory

from cameras.models import Camera
from nvr.audit.models import AuditEntry
from nvr.errors import BadRequest
from nvr.model_admin import ModelAdmin
from tests.factories import make_camera, make_user

HUGE = "9" * 25
ADMINS = list(django_admin.site._registry.items())


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def list_of(model: Any) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def fields_of(model: Any) -> list[Any]:
    return [field for field in model._meta.get_fields() if hasattr(field, "name")]


@pytest.fixture
def request_(admin: User) -> Any:
    request = RequestFactory().get("/admin/")
    request.user = admin
    return request


def test_every_admin_rejects_regular_expressions(request_: Any) -> None:
    for model, model_admin in ADMINS:
        assert isinstance(model_admin, ModelAdmin)
        for field in [*(field.name for field in fields_of(model)), "pk", "no_such_field"]:
            for lookup in ("regex", "iregex", "contains__regex", "date__iregex"):
                assert not model_admin.lookup_allowed(f"{field}__{lookup}", "^(a+)+$", request_), (model, field)


def test_every_admin_rejects_lookups_across_relations(request_: Any) -> None:
    for model, model_admin in ADMINS:
        listed = {name for name in model_admin.get_list_filter(request_) if isinstance(name, str)}
        for field in fields_of(model):
            for other in fields_of(field.related_model) if field.is_relation and field.related_model else ():
                lookup = f"{field.name}__{other.name}"
                own = other.name == "id" and field.name in listed
                assert own or not model_admin.lookup_allowed(lookup, "a", request_), lookup
                assert own or not model_admin.lookup_allowed(f"{lookup}__startswith", "a", request_), lookup


def list_queries(model: Any) -> list[str]:
    name = next((field.name for field in model._meta.concrete_fields if not field.primary_key), "id")
    date = next((field.name for field in model._meta.concrete_fields if "Date" in type(field).__name__), name)
    return [
        *(f"p={page}" for page in ("x", "-1", HUGE, "9" * 5000)),
        *(f"o={order}" for order in ("x", "-99", HUGE, "1.1.-1", "." * 500)),
        *(f"q={text}" for text in ("x" * 5000, "%00", "a%20" * 1000, "%22%27%5C", "%ED%A0%80")),
        *(f"{name}__{end}=x" for end in ("regex", "no", "exact__exact", "in", "isnull", "gt", "year")),
        *(f"{date}__{end}" for end in ("gte=9999-12-31", "year=99999999", "year=x", "lt=0001-01-01", "date=%00")),
        *(f"id__{end}={HUGE}" for end in ("exact", "in", "gt", "lte", "range")),
        *("_facets=True", "_facets=x", "e=1", f"e=1&p={HUGE}", "all=", "_to_field=password", "_popup=x", "no=1"),
        "&".join(f"{name}__contains={number}" for number in range(500)),
    ]


@pytest.mark.slow
def test_no_admin_list_fails_for_any_query(browser: Client, camera: Camera) -> None:
    """All of it in the three lists that differ most; in each of the others what its own fields and filters decide."""
    for model, _ in ADMINS:
        whole = model in {Camera, AuditEntry, User}
        queries = [
            query for query in list_queries(model) if whole or query.startswith(("_facets=T", "id__in", "q=%22"))
        ]
        answers = {query: browser.get(f"{list_of(model)}?{query}").status_code for query in queries}

        assert {query: status for query, status in answers.items() if status not in {200, 302, 400}} == {}
        assert answers["_facets=True"] == 200


@pytest.mark.slow
def test_no_admin_action_fails_for_any_selection(browser: Client, request_: Any) -> None:
    for model, model_admin in ADMINS:
        for action in [*model_admin.get_actions(request_), "no_such_action"]:
            for chosen in ("x", HUGE, "\0", ""):
                form = {"action": action, "_selected_action": chosen, "index": "0"}
                assert browser.post(list_of(model), form).status_code in {200, 302, 400, 403}


def test_errors_of_an_action_are_not_reported_as_invalid_lookups(admin: User, camera: Camera) -> None:
    class BrokenAdmin(ModelAdmin[Camera]):
        actions = ("fail",)

        @django_admin.action
        def fail(self, request: Any, queryset: Any) -> None:
            raise ValueError("a defect")

    def post(chosen: Any) -> Any:
        request = RequestFactory().post(
            "/", {"action": "fail", "_selected_action": chosen, "index": "0"}, headers={"accept": "text/html"}
        )
        request.user = admin
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return BrokenAdmin(Camera, django_admin.site).changelist_view(request)

    with pytest.raises(ValueError, match="a defect"):
        post(camera.pk)
    with pytest.raises(BadRequest):
        post("x")


def test_an_invalid_search_is_rejected_with_a_reason(browser: Client) -> None:
    for query, reason in (("q=%00", "ull"), ("q=" + "x" * 300, "too long")):
        page = browser.get(f"/admin/cameras/camera/?{query}").content.decode()
        assert reason in page
    search = {"app_label": "cameras", "model_name": "camera", "field_name": "groups"}
    for term, reason in (("\0", "NUL"), ("x" * 300, "too long")):
        answer = browser.get("/admin/autocomplete/", search | {"term": term})
        assert answer.status_code == 400
        assert reason in answer.content.decode()


def test_a_rejected_lookup_gets_an_error_page(browser: Client) -> None:
    response = browser.get("/admin/cameras/camera/?notes__regex=^(a%2B)%2B$")

    assert response.status_code == 400
    assert "<h1>" in response.content.decode()


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("cameras/camera", "groups__id__exact={group}"),
        ("cameras/camera", "status__exact=unknown"),
        ("cameras/camera", "enabled__exact=1"),
        ("cameras/camera", "name__icontains=front"),
        ("auth/user", "is_staff__exact=1"),
        ("auth/user", "groups__id__exact={group}"),
        ("audit/auditentry", "at__gte=2026-01-01&at__lt=2026-01-02&action=camera_updated"),
        ("media_serving/event", "camera=front_door&ended_at__isempty=1"),
        ("media_serving/upload", "received_at__gte=2026-01-01 00:00:00Z&state__exact=done"),
    ],
)
def test_filters_offered_by_the_lists_work(
    browser: Client, camera: Camera, family: Any, address: str, query: str
) -> None:
    assert browser.get(f"/admin/{address}/?{query.format(group=family.pk)}").status_code == 200


def test_view_on_site_does_not_reveal_invisible_objects(browser: Client, camera: Camera) -> None:
    hidden = make_camera("Hidden")
    kind = ContentType.objects.get_for_model(Camera).pk
    limited = Client()
    limited.force_login(make_user("limited", "cameras.view_camera", is_staff=True))

    assert browser.get(f"/admin/r/{kind}/{hidden.pk}/").status_code == 302
    for address in (
        f"{kind}/{hidden.pk}",
        f"{kind}/99999",
        f"{kind}/x",
        f"x/{hidden.pk}",
        f"{HUGE}/1",
        f"{kind}/{HUGE}",
    ):
        assert limited.get(f"/admin/r/{address}/").status_code == 404, address
