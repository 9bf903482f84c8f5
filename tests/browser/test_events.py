"""The pages of events in a real browser: keys, news without a reload, the thumb's reach on a phone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from cameras.models import Camera
from cameras.registry import create_camera
from media_serving.models import ClipWork, Detection, Event, clip_path
from tests.browser.conftest import PHONE, Open, keep_picture, sign_in
from tests.factories import jpeg, make_user, make_video, put
from tests.media_serving.evidence import detect

pytestmark = pytest.mark.browser

BOX = {"bbox_x": 60, "bbox_y": 80, "bbox_width": 60, "bbox_height": 120, "frame_width": 320, "frame_height": 240}


@pytest.fixture
def chief(site: str) -> User:
    return make_user("chief", is_staff=True, is_superuser=True)


@pytest.fixture
def camera(chief: User) -> Camera:
    folder = settings.NVR_CAMERA_ROOT / "events_front"
    folder.mkdir(exist_ok=True)
    put(folder, "a.jpg", jpeg(320, 240))
    return create_camera(chief, {"name": "Front Door", "folder_path": str(folder)})


@pytest.fixture
def events(camera: Camera) -> list[Event]:
    """Three, newest first."""
    now = timezone.now()
    return [happen(camera, now - timedelta(minutes=10 * number)) for number in (1, 2, 3)]


def happen(camera: Camera, at: datetime) -> Event:
    detection = detect(camera, at, **BOX)
    put(detection.thumbnail_path.parent, detection.thumbnail_path.name, jpeg(320, 240, seed=detection.pk))
    Detection.objects.filter(pk=detection.pk).update(thumbnail_size_bytes=5)
    return detection.event


def card(page: Page, event: Event):
    return page.locator(f'[data-event="{event.pk}"]')


def reviewed(event: Event) -> bool:
    event.refresh_from_db()
    return event.reviewed


def test_the_list_is_walked_marked_and_opened_by_keys(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto("/events?object_class=person")
    keep_picture(page, "events")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(card(page, events[1]).locator("a")).to_be_focused()
    with page.expect_response(f"**/events/{events[1].pk}*"):
        page.keyboard.press("r")
    expect(card(page, events[1])).not_to_have_attribute("data-unreviewed", "")
    expect(page.locator("[data-live-region]")).to_have_text("Reviewed.")
    assert reviewed(events[1]) and not reviewed(events[0])
    page.keyboard.press("k")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**/events/{events[0].pk}?object_class=person")
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()


def test_one_event_is_walked_and_marked_by_keys(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto(f"/events/{events[0].pk}?camera_id=front_door")
    keep_picture(page, "event")
    expect(page.locator("svg.boxes text")).to_have_text("person 80%")

    page.keyboard.press("r")
    expect(page.locator("[data-mark=reviewed] button")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("j")
    page.wait_for_url(f"**/events/{events[1].pk}?camera_id=front_door")
    page.keyboard.press("k")
    page.wait_for_url(f"**/events/{events[0].pk}?camera_id=front_door")
    page.keyboard.press("Escape")
    page.wait_for_url(f"**/events?camera_id=front_door#event-{events[0].pk}")
    expect(card(page, events[0]).locator("a")).to_be_focused()

    assert reviewed(events[0])


@pytest.mark.slow
def test_typing_notes_presses_no_key(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto(f"/events/{events[0].pk}")

    page.get_by_label("Notes").fill("")
    page.get_by_label("Notes").press_sequentially("jar")
    page.get_by_role("button", name="Save notes").click()

    expect(page.get_by_text("Notes saved.")).to_be_visible()
    expect(page.get_by_label("Notes")).to_have_value("jar")
    assert not reviewed(events[0])


@pytest.mark.slow
def test_the_box_lies_on_the_picture(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto(f"/events/{events[0].pk}")

    picture, box = page.locator(".boxed img").bounding_box(), page.locator("svg.boxes rect").bounding_box()

    assert picture and box
    scale = min(picture["width"] / 320, picture["height"] / 240)
    left = picture["x"] + (picture["width"] - 320 * scale) / 2
    assert abs(box["x"] - (left + 60 * scale)) < 4
    assert abs(box["width"] - 60 * scale) < 6


@pytest.mark.slow
def test_of_a_crowd_the_picture_has_boxes_and_no_words_over_each_other(
    page: Page, chief: User, events: list[Event]
) -> None:
    event = events[0]
    for number in range(1, 4):
        detect(event.camera, event.started_at, **BOX | {"bbox_x": 60 + 8 * number})
    sign_in(page, "chief")

    page.goto(f"/events/{event.pk}")

    expect(page.locator(".boxed rect")).to_have_count(4)
    for words in page.locator(".boxed text").all():
        expect(words).to_be_hidden()
    expect(page.locator(".viewer-text")).to_contain_text("person")


def test_many_are_reviewed_at_once_and_taken_back_from_the_message(
    page: Page, chief: User, events: list[Event]
) -> None:
    Event.objects.filter(pk=events[0].pk).update(reviewed=True)
    sign_in(page, "chief")
    page.goto("/events")

    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("button", name="All shown").click()
    expect(page.locator("[data-bulk-count]")).to_have_text("3 selected")
    page.get_by_role("button", name="Reviewed", exact=True).click()

    expect(page.locator("[data-event][data-unreviewed]")).to_have_count(0)
    expect(page.locator("[data-toast]")).to_contain_text("2 events: reviewed.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-event][data-unreviewed]")).to_have_count(2)
    expect(page.locator("[data-toast]").first).to_contain_text("Undone: 2 events.")
    assert [event.pk for event in Event.objects.filter(reviewed=True)] == [events[0].pk]


@pytest.mark.slow
def test_while_one_selects_a_card_is_its_box_and_opens_nothing(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto("/events")
    page.get_by_role("button", name="Select", exact=True).click()

    page.locator(".event-link").first.click()

    expect(page.locator("[data-bulk-count]")).to_have_text("1 selected")
    assert page.url.endswith("/events")
    page.keyboard.press("Escape")
    expect(page.locator("[data-bulk]")).to_be_hidden()


@pytest.mark.slow
def test_a_newer_event_comes_by_itself_and_does_not_push_what_is_read(
    page: Page, chief: User, camera: Camera, events: list[Event]
) -> None:
    sign_in(page, "chief")
    page.goto("/events")
    expect(page.locator("[data-event]")).to_have_count(3)

    newer = happen(camera, timezone.now() - timedelta(seconds=80))
    expect(card(page, newer)).to_be_visible(timeout=15_000)

    page.keyboard.press("j")
    before = card(page, events[0]).bounding_box()
    newest = happen(camera, timezone.now())
    offer = page.get_by_role("button", name="1 newer event")
    expect(offer).to_be_visible(timeout=15_000)
    assert card(page, events[0]).bounding_box() == before
    offer.click()
    expect(card(page, newest).locator("a")).to_be_focused()


@pytest.mark.slow
def test_the_clip_appears_when_it_is_made(page: Page, chief: User, events: list[Event]) -> None:
    Event.objects.filter(pk=events[0].pk).update(ended_at=None)
    sign_in(page, "chief")
    page.goto(f"/events/{events[0].pk}")
    expect(page.locator("[data-part=clip]")).to_contain_text("when the event is over")

    clip = make_video(clip_path(events[0].pk))
    now = timezone.now()
    Event.objects.filter(pk=events[0].pk).update(ended_at=now, clip_size_bytes=clip.stat().st_size, clip_created_at=now)

    video = page.locator("#viewer video")
    expect(video).to_be_visible(timeout=15_000)
    page.wait_for_function("() => document.querySelector('#viewer video').readyState >= 1")
    assert page.evaluate("document.querySelector('#viewer video').duration") > 1


@pytest.mark.slow
def test_pictures_come_while_the_event_goes_on(page: Page, chief: User, camera: Camera) -> None:
    now = timezone.now()
    event = happen(camera, now)
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")
    expect(page.locator("[data-still]")).to_have_count(1)
    page.locator("[data-still]").first.focus()

    happen(camera, now + timedelta(seconds=2))
    happen(camera, now + timedelta(seconds=2))

    expect(page.locator("[data-still]")).to_have_count(2)
    expect(page.locator("h1")).to_contain_text("2 people")
    expect(page.locator("[data-still]").first).to_have_attribute("aria-current", "true")
    expect(page.locator("[data-still]").first).to_be_focused()


@pytest.mark.slow
def test_without_an_answer_the_page_stays_and_says_so(page: Page, chief: User, camera: Camera) -> None:
    at = timezone.now() - timedelta(hours=1)
    event = happen(camera, at)
    happen(camera, at + timedelta(seconds=2))
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")

    page.context.set_offline(True)
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-toast]")).to_contain_text("The server is not responding.")
    with page.expect_event("requestfailed"):
        page.keyboard.press("r")
    expect(page.locator("[data-mark=reviewed] button")).to_have_attribute("aria-pressed", "false")
    page.context.set_offline(False)
    page.keyboard.press("r")

    expect(page.locator("[data-mark=reviewed] button")).to_have_attribute("aria-pressed", "true")
    assert page.url.endswith(f"/events/{event.pk}")


@pytest.mark.slow
def test_who_was_signed_out_is_told_that_nothing_new_is_shown(page: Page, chief: User, camera: Camera) -> None:
    event = happen(camera, timezone.now())
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")

    page.context.clear_cookies()

    expect(page.locator("[data-connection-notice]")).to_contain_text("You are signed out")


@pytest.mark.slow
def test_a_picture_that_is_gone_is_told_in_words(page: Page, chief: User, camera: Camera) -> None:
    event = happen(camera, timezone.now() - timedelta(hours=1))
    (settings.NVR_CAMERA_ROOT / "events_front" / "a.jpg").unlink()
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")

    expect(page.locator(".boxed")).to_have_text("This picture is no longer in the camera's folder.")
    expect(page.locator("svg.boxes")).to_have_count(0)
    expect(page.get_by_role("link", name="Download")).to_have_count(0)


@pytest.mark.slow
def test_one_comes_back_to_the_page_of_the_list_that_one_left(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto("/events?limit=2")
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**cursor=**")
    left = page.url
    card(page, events[2]).get_by_role("link").click()
    page.wait_for_url(f"**/events/{events[2].pk}")

    page.keyboard.press("Escape")

    page.wait_for_url(f"{left}#event-{events[2].pk}")
    expect(card(page, events[2]).locator("a")).to_be_focused()


@pytest.mark.slow
def test_a_toast_stands_above_an_open_dialog(page: Page, chief: User, events: list[Event]) -> None:
    sign_in(page, "chief")
    page.goto("/events")
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()

    page.evaluate("document.dispatchEvent(new CustomEvent('toast', {detail: {text: 'Hear!', level: 'error'}}))")
    page.locator("[data-toast]").get_by_role("button", name="Dismiss").click()

    expect(page.locator("[data-toast]")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("body > [data-toasts]")).to_have_count(1)


def clip_from(event: Event, began: datetime) -> None:
    """A clip of three seconds that shows all since `began`."""
    clip = make_video(clip_path(event.pk), size="320x240", seconds=3)
    now = timezone.now()
    Event.objects.filter(pk=event.pk).update(ended_at=now, clip_size_bytes=clip.stat().st_size, clip_created_at=now)
    shows = [[int(began.timestamp() * 1000), 3000]]
    ClipWork.objects.update_or_create(event=event, defaults={"state": "done", "shows": shows})


@pytest.mark.slow
def test_no_box_lies_over_the_poster_which_is_another_picture(page: Page, chief: User, events: list[Event]) -> None:
    event = events[0]
    clip_from(event, event.started_at)
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")
    box = page.locator(".clip-stage svg.boxes")
    page.wait_for_function("() => document.querySelector('#viewer video').readyState >= 1")
    expect(box).to_be_hidden()

    page.locator("#viewer video").evaluate("video => { video.currentTime = 0.2; }")

    expect(box).to_be_visible()


def test_boxes_lie_over_the_clip_where_it_shows_what_was_found(page: Page, chief: User, events: list[Event]) -> None:
    event = events[0]
    clip_from(event, event.started_at - timedelta(seconds=1))
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")
    video, box = page.locator("#viewer video"), page.locator(".clip-stage svg.boxes")
    page.wait_for_function("() => document.querySelector('#viewer video').readyState >= 1")
    expect(box).to_be_hidden()

    video.evaluate("video => { video.currentTime = 1.2; }")
    expect(box).to_be_visible()
    keep_picture(page, "event-clip-boxes")
    page.keyboard.press("b")
    expect(box).to_be_hidden()
    page.keyboard.press("b")
    expect(box).to_be_visible()
    video.evaluate("video => { video.currentTime = 2.5; }")

    expect(box).to_be_hidden()


@pytest.mark.slow
def test_on_a_phone_the_marks_are_in_the_thumbs_reach(open_browser: Open, chief: User, events: list[Event]) -> None:
    page = open_browser(PHONE, "dark", has_touch=True)
    sign_in(page, "chief")
    page.goto(f"/events/{events[0].pk}")
    keep_picture(page, "event-phone")

    for name in ("Reviewed", "Keep"):
        button = page.get_by_role("button", name=name)
        place = button.bounding_box()
        assert place and place["y"] > PHONE["height"] * 0.8 and place["height"] >= 44
        button.tap()
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Older").tap()

    page.wait_for_url(f"**/events/{events[1].pk}")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.slow
def test_on_a_phone_what_is_told_of_the_clip_has_a_line_of_its_own(
    open_browser: Open, chief: User, events: list[Event]
) -> None:
    clip_from(events[0], events[0].started_at)
    page = open_browser(PHONE, "light", has_touch=True)
    sign_in(page, "chief")

    page.goto(f"/events/{events[0].pk}")

    told, download = page.locator(".viewer-text"), page.get_by_role("link", name="Download", exact=True)
    text, button = told.bounding_box(), download.bounding_box()
    assert text and button
    assert text["height"] < 60 and text["y"] + text["height"] <= button["y"]
    viewer, again = page.locator("#viewer").bounding_box(), page.locator(".clip-regenerate .btn").bounding_box()
    assert viewer and again
    assert again["y"] - (viewer["y"] + viewer["height"]) >= 8


def test_without_scripts_events_are_opened_marked_and_filtered(
    open_browser: Open, chief: User, events: list[Event]
) -> None:
    page = open_browser(java_script_enabled=False)
    sign_in(page, "chief")
    page.goto("/events")

    page.get_by_role("link", name="Not reviewed").click()
    card(page, events[0]).get_by_role("link").click()
    page.get_by_role("button", name="Reviewed").click()
    page.get_by_role("link", name="All events").click()

    page.wait_for_url("**/events?reviewed=false")
    expect(card(page, events[0])).to_have_count(0)
    expect(card(page, events[1])).to_be_visible()


@pytest.mark.slow
def test_boxes_that_were_put_away_stay_so_and_their_button_says_it(
    page: Page, chief: User, events: list[Event]
) -> None:
    event = events[0]
    clip_from(event, event.started_at - timedelta(seconds=1))
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}")
    page.get_by_role("button", name="Boxes").click()
    page.keyboard.press("ArrowRight")
    page.get_by_role("link", name="Clip", exact=True).click()

    expect(page.get_by_role("button", name="Boxes")).to_have_attribute("aria-pressed", "false")


@pytest.mark.slow
def test_who_works_with_the_keyboard_keeps_the_place(page: Page, chief: User, events: list[Event]) -> None:
    event = events[0]
    clip_from(event, event.started_at - timedelta(seconds=1))
    sign_in(page, "chief")
    page.goto(f"/events/{event.pk}?still={event.detections.get().pk}")
    mark = page.locator("[data-mark=reviewed] button")
    mark.focus()
    page.keyboard.press("Enter")
    expect(mark).to_have_attribute("aria-pressed", "true")
    expect(mark).to_be_focused()

    page.get_by_role("link", name="Clip", exact=True).focus()
    page.keyboard.press("Enter")

    expect(page.locator("#viewer video")).to_have_count(1)
    expect(page.locator("#viewer [data-download]")).to_be_focused()


@pytest.mark.slow
def test_a_jump_within_the_page_leaves_the_clip_as_it_is(page: Page, chief: User, events: list[Event]) -> None:
    clip_from(events[0], events[0].started_at)
    sign_in(page, "chief")
    page.goto(f"/events/{events[0].pk}")
    page.locator("#viewer video").evaluate("video => { video.dataset.same = 'yes'; }")
    page.evaluate("location.hash = 'main'")
    page.wait_for_timeout(1500)

    assert page.locator("#viewer video").get_attribute("data-same") == "yes"


@pytest.mark.slow
def test_on_a_phone_the_day_begins_with_what_is_newest(open_browser: Open, camera: Camera) -> None:
    page = open_browser(PHONE)
    today = timezone.now().astimezone(camera.zone)
    late = today.replace(hour=22, minute=0) - timedelta(days=1)
    Camera.objects.filter(pk=camera.pk).update(created_at=late - timedelta(days=9))
    happen(camera, late - timedelta(hours=20))
    newest = happen(camera, late)
    sign_in(page, "chief")

    page.goto("/cameras/front_door")
    page.wait_for_load_state("load")
    assert is_in_frame(page, ".timeline-now")
    assert page.evaluate("scrollY") == 0

    page.goto(f"/cameras/front_door?day={late:%Y-%m-%d}")
    page.wait_for_load_state("load")
    assert is_in_frame(page, f'a[href*="/events/{newest.pk}"] .timeline-event')
    assert page.evaluate("scrollY") == 0
    keep_picture(page, "camera-day-phone")


def is_in_frame(page: Page, mark: str) -> bool:
    frame, found = (page.locator(name).bounding_box() for name in (".timeline-frame", f".timeline {mark}"))
    assert frame and found
    return frame["x"] <= found["x"] and found["x"] + found["width"] <= frame["x"] + frame["width"]
