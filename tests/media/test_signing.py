"""Expiring addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from nvr.media.http.signing import SignatureExpired, SignatureInvalid, is_signed, sign, verify

PATH = "/api/media/cameras/front_door/a.jpg"
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


def signed(**changes) -> dict[str, str]:
    given = {"purpose": "download", "method": "GET", "path": PATH, "expires_at": SOON, "subject": "7", **changes}
    return dict(parse_qsl(sign(given.pop("purpose"), **given)))


def check(query, purpose: str = "download", method: str = "GET", path: str = PATH):
    return verify(purpose, method=method, path=path, query=query)


def test_a_signature_contains_user_expiry_and_size_limit():
    result = check(signed(size_limit=1000))

    assert (result.subject, result.expires_at, result.size_limit) == ("7", SOON, 1000)
    assert len(result.nonce) >= 16


def test_the_size_limit_is_optional():
    assert check(signed()).size_limit is None
    assert check(signed(size_limit=0)).size_limit == 0


def test_a_signature_for_get_is_valid_for_head_only():
    assert check(signed(), method="HEAD").subject == "7"
    for method in ("PUT", "POST", "DELETE", "get"):
        with pytest.raises(SignatureInvalid):
            check(signed(), method=method)


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "upload"},
        {"path": PATH + "x"},
        {"path": PATH.replace("front_door", "back_yard")},
        {"path": ""},
    ],
)
def test_a_signature_is_invalid_for_another_purpose_or_path(other):
    with pytest.raises(SignatureInvalid):
        check(signed(), **other)


@pytest.mark.parametrize("field", ["expires", "nonce", "user", "limit", "signature"])
@pytest.mark.parametrize("change", ["missing", "empty", "longer", "other", "strange"])
def test_no_field_can_be_changed(field, change):
    query = signed(size_limit=1000)
    changed = {
        "missing": None,
        "empty": "",
        "longer": query[field] + "0",
        "other": "9" * len(query[field]),
        "strange": "\u0661\ud800\0",
    }[change]
    query = {name: value for name, value in query.items() if name != field}
    if changed is not None:
        query[field] = changed

    with pytest.raises(SignatureInvalid):
        check(query)


def test_the_boundary_between_fields_is_unambiguous():
    query = signed(subject="71")
    query["user"], query["limit"] = "7", "1"

    with pytest.raises(SignatureInvalid):
        check(query)


def test_an_old_signature_is_expired_and_a_forged_one_is_invalid():
    query = signed(expires_at=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(SignatureExpired):
        check(query)
    with pytest.raises(SignatureInvalid):
        check({**query, "user": "8"})


def test_two_signatures_are_never_the_same():
    assert signed()["signature"] != signed()["signature"]


def test_a_rotated_key_still_verifies_as_long_as_it_is_listed(settings):
    query = signed()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key", [settings.SECRET_KEY]

    assert check(query).subject == "7"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(SignatureInvalid):
        check(query)


def test_an_empty_signature_is_invalid():
    assert is_signed(signed())
    assert not is_signed({})
    with pytest.raises(SignatureInvalid):
        check({})


def test_both_errors_are_403():
    assert SignatureInvalid().status == SignatureExpired().status == 403
