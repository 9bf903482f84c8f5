"""The OpenAPI documents are true: what schemathesis makes of them is answered as they say, and never with 500."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Group
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from rest_framework.test import APIClient
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nvr.accounts.models import ApiKey
from tests.factories import folder_of, jpeg, make_camera, make_user, put

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Byte routes answer with what the file is; the documents name the types, and other tests read the bytes.
# Without a worker nobody empties the trash: that is 503, and takes five seconds each time.
EXCLUDED = {"/api/token", "/api/token/refresh", "/api/empty-trash"}


@pytest.fixture(params=["2", "1"])
def document(request: pytest.FixtureRequest, api: APIClient) -> dict[str, Any]:
    answer = api.get("/api/schema", HTTP_ACCEPT=f"application/json; version={request.param}")
    return dict(answer.json(), version=request.param)


@pytest.fixture
def generous(settings: Any) -> None:
    plenty = {"user": "900000000/m", "anonymous": "900000000/m"}
    settings.RATES = dict.fromkeys(settings.RATES, plenty)


def key_for_everything() -> str:
    chief = make_user("tester", is_staff=True, is_superuser=True)
    return ApiKey.objects.issue(user=chief, name="schemathesis")[1]


def test_there_is_one_document_per_version(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    assert f"({document['version']})" in document["info"]["version"]
    assert "/api/cameras" in document["paths"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_responses_match_the_schema(document: dict[str, Any], generous: None, transactional_db: None) -> None:
    version = document.pop("version")
    camera = make_camera("Front Door", groups=(Group.objects.create(name="family"),))
    put(folder_of(camera), "a.jpg", jpeg())
    headers = {"X-API-Key": key_for_everything(), "Accept": f"application/json; version={version}"}
    schema = schemathesis.openapi.from_dict(document).exclude(path=list(EXCLUDED))
    schema.app = get_wsgi_application()

    failures: list[str] = []
    for result in schema.get_all_operations():
        failures += failures_of(result.ok(), headers)

    assert not failures, "\n\n".join(failures)


def failures_of(operation: Any, headers: dict[str, str]) -> list[str]:
    failures: list[str] = []

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    def check(case: Any) -> None:
        case.headers = {**(case.headers or {}), **headers}
        response = case.call(base_url="http://localhost")
        try:
            case.validate_response(response, checks=CHECKS)
        except (Exception, BaseExceptionGroup) as error:
            reasons = getattr(error, "exceptions", [error])
            failures.extend(f"{operation.method.upper()} {operation.path}: {str(reason)[:600]}" for reason in reasons)

    given(case=operation.as_strategy())(check)()
    return failures[:2]
