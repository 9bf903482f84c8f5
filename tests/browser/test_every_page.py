"""Every page, wide and narrow, light and dark: nothing is cut off, axe-core finds nothing grave, and a picture of each
is kept to be looked at."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from cameras.models import Camera
from cameras.registry import create_camera, trash_camera
from media_serving.models import Event
from nvr.error_handlers import page as error_page
from nvr.pages.security import PAGE_POLICY
from tests.browser.axe import Look, every_look, violations_in
from tests.browser.conftest import DESKTOP, Open, keep_picture, sign_in
from tests.factories import jpeg, make_user, make_video, put
from tests.media_serving.evidence import after, detection_of
from tests.media_serving.ledger import enter

pytestmark = pytest.mark.browser

NARROWEST = {"width": 360, "height": 740}
PAGES = {
    "live-view": "/",
    "camera": "/cameras/front_door",
    "picture": "/cameras/front_door?file=a.jpg",
    "video": "/cameras/front_door?file=b.mp4",
    "password": "/password",
    "events": "/events",
    "events-range": "/events?from=2026-01-31T00:00&q=front",
    "event": "/events/1",
    "camera-zoom": "/cameras/front_door?day=2026-01-31&zoom=6",
    "camera-day": "/cameras/front_door?day=2026-01-31&hour=3",
    "uploads": "/uploads",
    "review": "/review",
    "api": "/api/docs",
    "not-found": "/nowhere",
    "admin": "/admin/",
    "admin-cameras": "/admin/cameras/camera/",
    "admin-camera-add": "/admin/cameras/camera/add/",
    "admin-user-add": "/admin/auth/user/add/",
    "admin-group-add": "/admin/auth/group/add/",
    "admin-trash": "/admin/cameras/trashedcamera/",
    "admin-keys": "/admin/accounts/apikey/",
    "admin-audit": "/admin/audit/auditentry/",
    "admin-events": "/admin/media_serving/event/",
    "admin-uploads": "/admin/media_serving/upload/",
    "admin-failed-jobs": "/admin/jobs/failedjob/",
}


ERROR_PAGES = ("400", "403", "403_csrf", "404", "405", "413", "429", "500", "503")
LOOKS = pytest.mark.parametrize(
    ("look", "viewport", "scheme"), [("wide", DESKTOP, "light"), ("narrow", NARROWEST, "dark")]
)


@pytest.fixture
def chief(site: str) -> User:
    user = make_user("chief", is_staff=True, is_superuser=True)
    root = settings.NVR_CAMERA_ROOT
    for name in ("Front Door", "Silent One", "Old One"):
        folder = root / f"every_{name.split()[0].lower()}"
        folder.mkdir(exist_ok=True)
        camera = create_camera(user, {"name": name, "folder_path": str(folder)})
    trash_camera(user, camera)
    put(root / "every_front", "a.jpg", jpeg(320, 240))
    make_video(root / "every_front" / "b.mp4", size="320x240")
    put(root / "every_unknown_camera_that_has_a_rather_long_name_without_any_blank", "a.jpg", jpeg())
    front = Camera.objects.get(slug="front_door")
    times = {"started_at": after(0), "last_detected_at": after(0), "ended_at": after(0)}
    event = Event.objects.create(pk=1, camera=front, object_classes=["person"], detection_count=1, **times)
    box = {"bbox_x": 10, "bbox_y": 10, "bbox_width": 40, "bbox_height": 90, "frame_width": 320, "frame_height": 240}
    detection_of(front, after(0), event=event, **box).save()
    enter(front, f"FI9900P_00626E44C831/snap/{'a_long_name_' * 8}.jpg", state="rejected")
    enter(front, "2026/01/31/a.jpg", state="failed", attempts=3)
    enter(front, "2026/01/31/b.jpg", state="done", attempts=1)
    return user


@LOOKS
def test_nothing_is_cut_off(open_browser: Open, chief: User, look: str, viewport: dict[str, int], scheme: str) -> None:
    page = open_browser(viewport, scheme)
    page.goto("/login")
    keep_picture(page, f"login-{look}")
    sign_in(page, "chief")

    too_wide = [name for name, address in PAGES.items() if overflow_px(page, name, address, look) > 0]

    assert not too_wide


@pytest.mark.slow
@every_look
def test_axe_finds_nothing_critical_or_serious_on_any_page(
    open_browser: Open, chief: User, looks: tuple[Look, ...]
) -> None:
    """At both widths, in both colour schemes. The policy is off: axe tries things that it forbids."""
    page = open_browser(reduced_motion="reduce", bypass_csp=True)
    page.goto("/login")
    found = [f"login {line}" for line in violations_in(page, looks)]
    sign_in(page, "chief")

    for name, address in PAGES.items():
        page.goto(address)
        page.wait_for_load_state("networkidle" if name == "api" else "load")
        found += [f"{name} {line}" for line in violations_in(page, looks)]

    assert not found, "\n".join(found)


def test_the_api_page_follows_the_chosen_scheme(open_browser: Open, chief: User) -> None:
    page = open_browser(scheme="dark")
    sign_in(page, "chief")
    page.goto("/api/docs")
    expect(page.locator("html")).to_contain_class("dark-mode")

    page.get_by_label("Menu of chief").click()
    page.get_by_role("button", name="Light").click()

    expect(page.locator("html")).not_to_contain_class("dark-mode")


@pytest.mark.slow
@LOOKS
def test_no_error_page_is_cut_off(open_browser: Open, look: str, viewport: dict[str, int], scheme: str) -> None:
    """As our server would send them, with the styles and scripts that it serves."""
    page = open_browser(viewport, scheme)
    page.route("**/errors/*", answer_with_error_page)

    too_wide = [name for name in ERROR_PAGES if overflow_px(page, f"error-{name}", f"/errors/{name}", look) > 0]

    assert not too_wide


def answer_with_error_page(route: Route) -> None:
    name = route.request.url.rpartition("/")[2]
    route.fulfill(
        status=int(name[:3]),
        headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": PAGE_POLICY},
        body=error_page(int(name[:3]), f"{name}.html").content,
    )


def overflow_px(page: Page, name: str, address: str, look: str) -> int:
    """How far the page reaches beyond the window, in pixels; its picture is kept."""
    page.goto(address)
    page.wait_for_load_state("networkidle" if name == "api" else "load")
    keep_picture(page, f"{name}-{look}")
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
