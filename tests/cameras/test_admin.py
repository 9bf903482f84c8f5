"""Cameras in the admin: the form with the API's rules, the trash, the history."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cameras.models import Camera
from nvr.accounts.models import ApiKey
from nvr.audit.models import AuditEntry
from tests.factories import PASSWORD, folder_of, make_camera, make_user

ADD = "/admin/cameras/camera/add/"
LIST = "/admin/cameras/camera/"
TRASH = "/admin/cameras/trashedcamera/"
EDITOR = ("cameras.view_camera", "cameras.add_camera", "cameras.change_camera", "cameras.delete_camera")


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def editor(family: Group) -> Client:
    """A staff user with all camera permissions who sees only the family's cameras."""
    client = Client()
    client.force_login(make_user("editor", *EDITOR, groups=(family,), is_staff=True))
    return client


def typed(**values: object) -> dict[str, object]:
    """Form data with only name and folder filled in, confirming a folder that does not exist."""
    return {
        "save_anyway": values.get("folder_path", "/cams/front"),
        "name": "Front Door",
        "folder_path": "/cams/front",
        "status": "online",
        "enabled": "on",
        "ingestion_mode": "ftp",
        "rtsp_url": "",
        "rtsp_username": "",
        "new_rtsp_password": "",
        "onvif_url": "",
        "stream_profile": "main",
        "motion_sensitivity": "0.5",
        "detector": "people",
        "detection_confidence": "0.5",
        "detection_classes": "",
        "detection_width": "768",
        "time_zone": "",
        "offline_after_seconds": "",
        "public": "on",
        "notes": "",
    } | values


def change_of(camera: Camera) -> str:
    return reverse("admin:cameras_camera_change", args=[camera.pk])


def actions() -> list[str]:
    return [entry.action for entry in AuditEntry.objects.filter(target_type="camera").order_by("pk")]


def errors_of(response) -> str:
    assert response.status_code == 200
    return html.unescape(str(response.context["adminform"].form.errors))


def run_action(client: Client, page: str, action: str, *cameras: Camera, **more: str):
    body = {"action": action, "_selected_action": [str(camera.pk) for camera in cameras], **more}
    return client.post(page, body, follow=True)


def test_a_camera_is_added_with_the_form(browser: Client, family: Group) -> None:
    response = browser.post(ADD, typed(groups=[family.pk], new_rtsp_password="hunter2", notes="by the gate"))

    assert response.status_code == 302, errors_of(response)
    camera = Camera.objects.get()
    assert (camera.slug, camera.name, camera.folder_path) == ("front_door", "Front Door", "/cams/front")
    assert camera.rtsp_password == "hunter2"
    assert list(camera.groups.all()) == [family]
    assert actions() == ["camera_created"]
    assert AuditEntry.objects.get(action="camera_created").actor_name == "chief"


def test_a_new_camera_has_the_status_unknown(browser: Client) -> None:
    assert '<option value="unknown" selected>' in browser.get(ADD).content.decode()


def test_an_editor_adds_a_camera_to_their_own_groups(editor: Client, family: Group) -> None:
    """They see no other cameras, so they could not see one without groups after saving it."""
    Group.objects.create(name="strangers")
    form = editor.get(ADD).context["adminform"].form

    editor.post(ADD, typed())

    assert form.get_initial_for_field(form.fields["groups"], "groups") == [family.pk]
    assert list(Camera.objects.get().groups.all()) == [family]
    assert "Front Door" in editor.get(LIST).content.decode()


def test_an_editor_who_adds_a_camera_to_another_group_gets_a_warning(editor: Client) -> None:
    neighbours = Group.objects.create(name="neighbours")

    response = editor.post(ADD, typed(groups=[neighbours.pk]), follow=True)

    assert list(Camera.objects.get().groups.all()) == [neighbours]
    assert "has none of your groups" in response.content.decode()


def test_the_form_explains_that_streams_are_not_pulled_yet(browser: Client, camera: Camera) -> None:
    for address in (ADD, change_of(camera)):
        assert "does not pull streams yet" in browser.get(address).content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\tb"),
        ("name", "!!!"),
        ("name", "Deleted"),
        ("folder_path", "cams"),
        ("folder_path", "/cams/../etc"),
        ("folder_path", "/a?b"),
        ("folder_path", ""),
        ("rtsp_url", "rtsp://user:pw@h/"),
        ("rtsp_url", "http://h/"),
        ("onvif_url", "rtsp://h/"),
        ("motion_sensitivity", "1.5"),
        ("motion_sensitivity", "nan"),
        ("detection_confidence", "-0.1"),
        ("detection_confidence", "nan"),
        ("detection_confidence", ""),
        ("detection_classes", "person, " + "x" * 65),
        ("detection_classes", ", ".join(f"class {number}" for number in range(51))),
        ("detection_classes", "a\x01b"),
        ("detection_classes", '["person"'),
        ("detection_classes", '["person", 1]'),
        ("detection_classes", '[""]'),
        ("detection_classes", '["\\ud800"]'),
        ("detection_classes", "[" * 9_000),
        ("detection_width", "159"),
        ("detection_width", "3841"),
        ("detection_width", "1e3"),
        ("time_zone", "Mars/Olympus"),
        ("offline_after_seconds", "0"),
        ("status", "asleep"),
        ("stream_profile", "third"),
        ("ingestion_mode", "telepathy"),
    ],
)
def test_the_form_rejects_what_the_api_rejects(browser: Client, field: str, value: str) -> None:
    response = browser.post(ADD, typed(**{field: value}))

    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert not Camera.everything.exists()


@pytest.mark.parametrize(
    ("text", "kept", "shown"),
    [
        ("", [], ""),
        (" person ,dog,, person,", ["person", "dog"], "person, dog"),
        ('["dog, barking", "person"]', ["dog, barking", "person"], '["dog, barking", "person"]'),
        ("Füchsin", ["Füchsin"], "Füchsin"),
        ("[]", [], ""),
    ],
)
def test_classes_are_entered_with_commas_or_as_json(browser: Client, text: str, kept: list[str], shown: str) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front", detection_classes=["cat"])

    response = browser.post(change_of(camera), typed(detection_classes=text, detect_every_frame="on"))

    assert response.status_code == 302, errors_of(response)
    camera.refresh_from_db()
    assert (camera.detection_classes, camera.detect_every_frame) == (kept, True)
    assert AuditEntry.objects.get(target_type="camera").changes == {
        "detect_every_frame": [False, True],
        "detection_classes": [["cat"], kept],
    }
    form = browser.get(change_of(camera)).context["adminform"].form
    assert form["detection_classes"].value() == shown
    browser.post(change_of(camera), typed(detection_classes=shown, detect_every_frame="on"))
    assert actions() == ["camera_updated"]


def test_invalid_input_stays_in_the_form(browser: Client) -> None:
    response = browser.post(ADD, typed(detection_classes='["person"'))

    assert response.context["adminform"].form["detection_classes"].value() == '["person"'


def test_the_form_requires_the_url_of_a_stream(browser: Client) -> None:
    response = browser.post(ADD, typed(ingestion_mode="rtsp"))

    assert "rtsp_url" in response.context["adminform"].form.errors


def test_a_change_saves_the_differences_and_one_audit_entry(browser: Client) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front", notes="old")

    browser.post(change_of(camera), typed(notes="new"))
    browser.post(change_of(camera), typed(notes="new"))

    assert actions() == ["camera_updated"]
    assert AuditEntry.objects.get(target_type="camera").changes == {"notes": ["old", "new"]}


def test_the_id_stays_when_the_name_changes(browser: Client) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front")

    assert browser.post(change_of(camera), typed(name="Attic")).status_code == 302

    camera.refresh_from_db()
    assert (camera.slug, camera.name) == ("front_door", "Attic")


def test_the_password_is_never_echoed_and_survives_an_empty_field(browser: Client) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front", rtsp_password="hunter2")

    assert b"hunter2" not in browser.get(change_of(camera)).content
    refused = browser.post(change_of(camera), typed(name="", new_rtsp_password="hunter3"))
    assert b"hunter" not in refused.content
    browser.post(change_of(camera), typed(notes="x"))

    camera.refresh_from_db()
    assert camera.rtsp_password == "hunter2"


def test_the_password_is_replaced_or_removed_on_request(browser: Client) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front", rtsp_password="hunter2")

    browser.post(change_of(camera), typed(new_rtsp_password="hunter3"))
    camera.refresh_from_db()
    assert camera.rtsp_password == "hunter3"

    browser.post(change_of(camera), typed(forget_rtsp_password="on"))
    camera.refresh_from_db()
    assert camera.rtsp_password is None
    assert "hunter" not in str([entry.changes for entry in AuditEntry.objects.all()])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"folder_path": "/x"}, "name"),
        ({"name": "Other"}, "folder_path"),
        ({"name": "front-door", "folder_path": "/x"}, "name"),
    ],
)
def test_a_taken_value_is_reported_at_its_field_and_the_input_is_kept(
    browser: Client, values: dict[str, str], field: str
) -> None:
    make_camera("Front Door", folder_path="/cams/front")

    response = browser.post(ADD, typed(notes="typed with care", **values))

    assert field in response.context["adminform"].form.errors
    assert "taken by camera front_door" in errors_of(response)
    assert b"typed with care" in response.content
    assert Camera.everything.count() == 1


def test_the_form_keeps_its_input_if_another_user_took_the_name_meanwhile(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another administrator saves between the form's validation and its write."""
    from cameras import registry

    original = registry.create_camera

    def late(*args: object, **kwargs: object) -> Camera:
        monkeypatch.setattr(registry, "create_camera", original)
        make_camera("Front Door", folder_path="/elsewhere")
        return original(*args, **kwargs)

    monkeypatch.setattr(registry, "create_camera", late)

    response = browser.post(ADD, typed(notes="typed with care"))

    assert "taken by camera front_door" in errors_of(response)
    assert b"typed with care" in response.content


def test_a_conflict_with_a_trashed_camera_is_reported_in_the_form(browser: Client) -> None:
    make_camera("Front Door", folder_path="/cams/front", deleted_at=timezone.now())

    response = browser.post(ADD, typed())

    assert "in the trash" in errors_of(response)
    assert f'See <a href="{TRASH}">Trash</a>.' in response.content.decode()


def test_the_list_shows_cameras_with_status_and_age(browser: Client, camera: Camera) -> None:
    Camera.objects.filter(pk=camera.pk).update(last_picture_at=timezone.now(), status_reason="It rained.")

    page = browser.get(LIST).content.decode()

    assert "Front Door" in page
    assert "Online" in page
    assert "It rained." in page
    assert "/api/cameras/front_door/snapshot?v=" in page


@pytest.mark.parametrize("query", ["q=front", "status__exact=online", "ingestion_mode__exact=ftp", "enabled__exact=1"])
def test_the_list_is_searched_and_filtered(browser: Client, camera: Camera, query: str) -> None:
    make_camera("Yard", status="error", ingestion_mode="rtsp", rtsp_url="rtsp://h/", enabled=False)

    page = browser.get(f"{LIST}?{query}").content.decode()

    assert ">Front Door<" in page
    assert ">Yard<" not in page


def test_the_list_costs_the_same_queries_for_two_cameras_and_for_twenty(
    browser: Client, django_assert_max_num_queries
) -> None:
    for number in range(20):
        make_camera(f"cam{number}")

    with django_assert_max_num_queries(14):
        browser.get(LIST)


def test_the_form_shows_the_folder_check(browser: Client, camera: Camera, pictures: list[str]) -> None:
    assert "The folder exists and contains pictures." in browser.get(change_of(camera)).content.decode()

    for path in folder_of(camera).iterdir():
        path.unlink()

    assert "No image or video files found" in browser.get(change_of(camera)).content.decode()


def test_the_action_checks_folders(browser: Client, camera: Camera, pictures: list[str]) -> None:
    lost = make_camera("Lost", folder_path=f"{folder_of(camera)}/nowhere")

    page = run_action(browser, LIST, "check_paths", camera, lost).content.decode()

    assert "Lost: directory does not exist" in page
    assert "1 of 2" in page


def test_the_action_moves_to_the_trash_and_back(browser: Client, camera: Camera) -> None:
    run_action(browser, LIST, "move_to_trash", camera)
    assert not Camera.objects.exists()
    assert "Front Door" in browser.get(TRASH).content.decode()
    assert browser.get(change_of(camera)).status_code == 302

    run_action(browser, TRASH, "restore", camera)
    assert Camera.objects.exists()
    assert actions() == ["camera_deleted", "camera_restored"]


def test_the_admins_own_delete_is_the_trash(browser: Client, camera: Camera) -> None:
    address = reverse("admin:cameras_camera_delete", args=[camera.pk])

    page = browser.get(address).content.decode()
    assert "Move “Front Door” to the trash?" in page
    assert "Restoring the camera from the trash brings everything back" in page
    page = browser.post(address, {"post": "yes"}, follow=True).content.decode()
    assert f'The camera “Front Door” is in the trash. Restore it from <a href="{TRASH}">Trash</a>.' in page
    assert "deleted successfully" not in page

    camera.refresh_from_db()
    assert camera.is_trashed
    assert actions() == ["camera_deleted"]


def test_the_action_links_to_the_trash(browser: Client, camera: Camera, family_camera: Camera) -> None:
    page = run_action(browser, LIST, "move_to_trash", camera, family_camera).content.decode()

    assert "“Front Door”" in page and "“Back Yard”" in page
    assert f'are in the trash. Restore them from <a href="{TRASH}">Trash</a>.' in page


def test_a_purge_shows_the_number_of_rows_and_needs_confirmation(
    browser: Client, camera: Camera, pictures: list[str]
) -> None:
    run_action(browser, LIST, "move_to_trash", camera)

    page = run_action(browser, TRASH, "purge", camera)
    assert "This cannot be undone" in page.content.decode()
    assert Camera.everything.exists()

    run_action(browser, TRASH, "purge", camera, confirmed="yes")
    assert not Camera.everything.exists()
    assert len(list(folder_of(camera).iterdir())) == 3
    assert actions() == ["camera_deleted", "camera_purged"]


def test_the_trash_shows_one_camera_read_only_with_its_history(browser: Client, camera: Camera) -> None:
    run_action(browser, LIST, "move_to_trash", camera)

    assert browser.get(f"{TRASH}{camera.pk}/change/").status_code == 200
    assert "camera_deleted" in browser.get(f"{TRASH}{camera.pk}/history/").content.decode()
    assert browser.get(f"{TRASH}add/").status_code == 403
    assert browser.post(f"{TRASH}{camera.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_history_shows_the_audit_log(browser: Client) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front")
    browser.post(change_of(camera), typed(notes="<script>alert(1)</script>"))

    page = browser.get(reverse("admin:cameras_camera_history", args=[camera.pk])).content.decode()

    assert "camera_updated" in page
    assert "chief" in page
    assert "<script>alert" not in page


def test_an_editor_finds_only_visible_cameras(editor: Client, family_camera: Camera, camera: Camera) -> None:
    page = editor.get(LIST).content.decode()

    assert "Back Yard" in page
    assert "Front Door" not in page
    assert editor.get(change_of(camera)).status_code == 302
    assert editor.post(change_of(camera), typed(notes="x")).status_code == 302
    assert editor.get(reverse("admin:cameras_camera_history", args=[camera.pk])).status_code in {302, 403, 404}
    run_action(editor, LIST, "move_to_trash", camera, family_camera)
    assert list(Camera.objects.all()) == [camera]
    assert actions() == ["camera_deleted"]


def test_an_editors_trash_contains_only_visible_cameras(editor: Client, family: Group) -> None:
    make_camera("Ours", groups=(family,), deleted_at=timezone.now())
    theirs = make_camera("Theirs", deleted_at=timezone.now())

    page = editor.get(TRASH).content.decode()
    run_action(editor, TRASH, "purge", theirs, confirmed="yes")
    run_action(editor, TRASH, "restore", theirs)

    assert "Ours" in page
    assert "Theirs" not in page
    theirs.refresh_from_db()
    assert theirs.is_trashed


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        (("cameras.view_camera",), set()),
        (("cameras.view_camera", "cameras.change_camera"), {"check_paths"}),
        (("cameras.view_camera", "cameras.delete_camera"), {"move_to_trash"}),
    ],
)
def test_each_action_is_shown_only_to_users_with_its_permission(
    camera: Camera, permissions: tuple[str, ...], offered: set[str]
) -> None:
    client = Client()
    client.force_login(make_user("u", "cameras.view_all", *permissions, is_staff=True))

    page = client.get(LIST).content.decode()

    assert {
        name for name in ("check_paths", "move_to_trash", "delete_selected") if f'value="{name}"' in page
    } == offered
    assert Camera.objects.exists()


def test_users_who_are_not_staff_cannot_open_the_admin(family: Group, family_camera: Camera) -> None:
    client = Client()
    client.force_login(make_user("u", *EDITOR, groups=(family,)))

    assert client.get(LIST, follow=True).status_code == 403


def test_the_admin_login_is_the_rate_limited_one(admin: User) -> None:
    client = Client()

    response = client.post("/admin/login/?next=/admin/", {"username": "chief", "password": PASSWORD})

    assert response["Location"] == "/login?next=/admin/"
    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/", follow=True).status_code == 200
    client.force_login(admin)
    assert client.get("/admin/password_change/")["Location"] == "/password"


def test_a_key_is_shown_once_when_it_is_created(browser: Client, admin: User) -> None:
    response = browser.post(
        "/admin/accounts/apikey/add/",
        {"name": "phone", "user": admin.pk, "read_only": "on", "expires_at_0": "", "expires_at_1": ""},
        follow=True,
    )

    key = ApiKey.objects.get()
    texts = [str(message) for message in response.context["messages"]]
    text = next(word for message in texts for word in message.split() if word.startswith("nvr_"))
    assert ApiKey.objects.find(text) == key
    assert key.read_only
    assert text not in browser.get("/admin/accounts/apikey/").content.decode()
    assert text not in browser.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()


def test_a_changed_key_is_audited_with_old_and_new_values(browser: Client, admin: User) -> None:
    key, _ = ApiKey.objects.issue(user=admin, name="phone")

    browser.post(
        f"/admin/accounts/apikey/{key.pk}/change/",
        {"name": "tablet", "read_only": "on", "expires_at_0": "", "expires_at_1": ""},
    )
    browser.post(f"/admin/accounts/apikey/{key.pk}/delete/", {"post": "yes"})

    entries = AuditEntry.objects.filter(target_type="apikey").order_by("pk")
    assert [entry.action for entry in entries] == ["api_key_issued", "api_key_updated", "api_key_revoked"]
    assert entries[1].changes == {"name": ["phone", "tablet"], "read_only": [False, True]}


def test_only_superusers_create_keys_for_other_users(admin: User) -> None:
    user = make_user("u", "accounts.add_apikey", "accounts.view_apikey", is_staff=True)
    client = Client()
    client.force_login(user)

    client.post("/admin/accounts/apikey/add/", {"name": "x", "user": admin.pk, "expires_at_0": "", "expires_at_1": ""})

    assert [key.user for key in ApiKey.objects.all()] == [user]


@pytest.mark.parametrize(
    "page",
    [
        "",
        "auth/user/",
        "auth/group/",
        "accounts/apikey/",
        "audit/auditentry/",
        "cameras/camera/",
        "cameras/trashedcamera/",
        "auth/user/add/",
        "auth/group/add/",
    ],
)
def test_every_page_of_the_admin_opens(browser: Client, camera: Camera, page: str) -> None:
    assert browser.get(f"/admin/{page}").status_code == 200


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    settings.NVR_CAMERA_ROOT = tmp_path / "cams"
    settings.NVR_CAMERA_ROOT.mkdir()
    return settings.NVR_CAMERA_ROOT


def add(browser: Client, **values: object) -> Any:
    return browser.post(ADD, typed(**({"save_anyway": "", "create_folder": ""} | values)))


def test_without_a_folder_one_named_after_the_camera_is_created(browser: Client, root: Path) -> None:
    response = add(browser, folder_path="", create_folder="on")

    assert response.status_code == 302
    assert Camera.objects.get().folder_path == str(root / "front_door")
    assert (root / "front_door").is_dir()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{root}/front", "does not exist"),
        ("{root}/a.txt", "is not a folder but a file"),
        ("{root}/two  blanks", "a space"),
        ("{root}/ before/in", "a space"),
        ("/tmp", "outside"),
        ("{root}", "the folder of all cameras"),
    ],
)
def test_an_unusual_folder_is_saved_only_after_confirmation(
    browser: Client, root: Path, path: str, expected: str
) -> None:
    (root / "a.txt").write_text("x")
    folder = path.format(root=root)

    warned = add(browser, folder_path=folder)
    page = html.unescape(warned.content.decode())
    another = add(browser, folder_path=f"{root}/other", save_anyway=folder)
    anyway = add(browser, folder_path=folder, save_anyway=folder)

    assert expected in errors_of(warned)
    (tick,) = re.findall(r'<input type="checkbox" name="save_anyway"[^>]*>', page)
    assert f'value="{folder}"' in tick and "checked" not in tick
    assert "does not exist" in errors_of(another)
    assert anyway.status_code == 302
    assert Camera.objects.get().folder_path == folder


def test_spaces_around_the_path_are_removed(browser: Client, root: Path) -> None:
    (root / "front").mkdir()

    assert add(browser, folder_path=f" {root}/front  ").status_code == 302
    assert Camera.objects.get().folder_path == str(root / "front")


def test_no_folder_is_created_outside_the_root(browser: Client, root: Path, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")

    warned = add(browser, folder_path=elsewhere, create_folder="on")
    add(browser, folder_path=elsewhere, create_folder="on", save_anyway=elsewhere)

    assert "outside" in errors_of(warned)
    assert "exist" not in errors_of(warned)  # editors must not learn which other folders exist
    assert Camera.objects.get().folder_path == elsewhere
    assert not Path(elsewhere).exists()


def test_a_file_at_the_path_gets_a_warning_even_if_the_folder_is_to_be_created(browser: Client, root: Path) -> None:
    (root / "a.txt").write_text("x")

    assert "is not a folder but a file" in errors_of(add(browser, folder_path=f"{root}/a.txt", create_folder="on"))


def test_without_a_name_only_the_name_is_required(browser: Client, root: Path) -> None:
    assert list(add(browser, name="", folder_path="").context["adminform"].form.errors) == ["name"]


def test_an_unchanged_folder_gets_no_warning(browser: Client, root: Path) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front")

    response = browser.post(change_of(camera), typed(notes="x", save_anyway=""))

    assert response.status_code == 302


def test_numbers_are_rounded_for_display_and_stay_unchanged(browser: Client, root: Path) -> None:
    camera = make_camera("Front Door", folder_path="/cams/front", motion_sensitivity=0.1 + 0.2)

    page = browser.get(change_of(camera)).content.decode()
    browser.post(change_of(camera), typed(notes="x", motion_sensitivity="0.3"))

    camera.refresh_from_db()
    assert 'value="0.3"' in page and "0.30000000000000004" not in page
    assert camera.motion_sensitivity == 0.1 + 0.2
