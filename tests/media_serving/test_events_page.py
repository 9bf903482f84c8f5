"""The page `/events`: access, filters, days and query counts."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from cameras.models import Camera
from media_serving.models import Detection, Event
from tests.factories import make_camera
from tests.media_serving.evidence import after, detect


@pytest.fixture
def browser(admin: User) -> Client:
    return browser_of(admin)


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(client: Client, query: str = "") -> str:
    response = client.get(f"/events{query}")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def ids_in(page: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'data-event="(\d+)"', page)]


def sentences_in(page: str) -> list[str]:
    return re.findall(r'event-sentence">([^<]+)<', page)


def test_events_are_listed_newest_first_by_day(browser, camera):
    detect(camera, after(0))
    detect(camera, after(3600), object_class="motion")
    detect(camera, after(-86400), object_class="car")

    page = page_of(browser)

    assert sentences_in(page) == ["Motion at Front Door", "1 person at Front Door", "1 car at Front Door"]
    days = re.findall(r"<h2 id=\"day-[^>]+>([^<]+)<", page)
    assert days == ["Saturday 31 January 2026", "Friday 30 January 2026"]


def test_the_sentence_counts_the_objects_of_one_picture(browser, camera):
    for seconds in (0, 2, 4):  # the same two people, in three pictures
        detect(camera, after(seconds))
        detect(camera, after(seconds), confidence=0.6)
    detect(camera, after(6), object_class="motion")

    assert sentences_in(page_of(browser)) == ["2 people at Front Door"]


def test_pictures_taken_in_the_same_second_are_counted_separately(browser, camera):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        for confidence in (0.8, 0.6):
            detect(camera, after(0), file_path=f"{camera.folder_path}/{name}", confidence=confidence)

    assert sentences_in(page_of(browser)) == ["2 people at Front Door"]


def test_days_are_in_the_cameras_time_zone(browser, camera):
    far = make_camera("Far", time_zone="Pacific/Auckland")
    here, there = detect(camera, after(0)).event, detect(far, after(0)).event  # noon in London, 1:00 tomorrow there

    assert ids_in(page_of(browser, "?day=2026-01-31")) == [here.pk]
    assert ids_in(page_of(browser, "?day=2026-02-01")) == [there.pk]
    page = page_of(browser)
    assert "01:00:00" in page and 'data-zone="Pacific/Auckland"' in page


def test_filters_narrow_the_list_and_are_chips(browser, camera, family_camera):
    seen = detect(camera, after(0)).event
    other = detect(family_camera, after(100), object_class="car").event
    Event.objects.filter(pk=seen.pk).update(reviewed=True)

    assert ids_in(page_of(browser, "?camera_id=back_yard")) == [other.pk]
    assert ids_in(page_of(browser, "?object_class=person")) == [seen.pk]
    assert ids_in(page_of(browser, "?reviewed=false")) == [other.pk]
    page = page_of(browser, "?reviewed=false&object_class=car")
    assert 'href="/events?object_class=car" aria-current="true"' in page  # pressed: it takes the other filter back
    assert f"/events/{other.pk}?object_class=car&reviewed=false" in page  # walking stays within the filter


def test_unreviewed_events_are_marked(browser, camera):
    first, second = detect(camera, after(0)).event, detect(camera, after(500)).event
    Event.objects.filter(pk=first.pk).update(reviewed=True)

    page = page_of(browser)

    assert f'data-event="{second.pk}" data-unreviewed' in page
    assert f'data-event="{first.pk}">' in page


@pytest.mark.parametrize(
    "query",
    ["reviewed=perhaps", "day=yesterday", "day=0001-01-01", "day=9999-12-31", "cursor=x", "limit=0", "camera_id=%00"],
)
def test_an_invalid_value_is_rejected_with_a_message(browser, camera, query):
    response = browser.get(f"/events?{query}")

    assert response.status_code == 422
    assert query.partition("=")[0] in response.content.decode()


def test_an_empty_filter_is_ignored(browser, camera):
    event = detect(camera, after(0)).event

    assert ids_in(page_of(browser, "?camera_id=&day=&object_class=")) == [event.pk]


def test_invisible_events_are_in_no_list_chip_or_count(member, camera, family_camera):
    detect(camera, after(0), object_class="secret")
    mine = detect(family_camera, after(50)).event

    page = page_of(browser_of(member))

    assert ids_in(page) == [mine.pk]
    assert "Front Door" not in page and "Secret" not in page
    assert ids_in(page_of(browser_of(member), "?camera_id=front_door")) == []


def test_paging_by_cursor_loses_no_event(browser, camera):
    for number in range(5):
        detect(camera, after(number * 200))
    query, seen = "?limit=2", []
    while query:
        page = page_of(browser, query)
        seen += ids_in(page)
        following = re.search(r'rel="next" href="/events(\?cursor=[^"]+)"', page)
        query = f"{following[1]}&limit=2" if following else ""

    assert seen == [event.pk for event in Event.objects.all()]
    assert len(seen) == 5


def test_the_thumbnail_is_that_of_the_best_detection(browser, camera):
    poor = detect(camera, after(0), confidence=0.5)
    good = detect(camera, after(1), confidence=0.9)
    none = detect(camera, after(2), confidence=0.99)
    Detection.objects.filter(pk__in=[poor.pk, good.pk]).update(thumbnail_size_bytes=5)

    page = page_of(browser)

    assert f"/api/media/thumbnails/detection_{good.pk}_thumb.jpg" in page
    assert f"detection_{none.pk}_thumb" not in page


def test_with_equal_confidence_the_largest_box_is_shown(browser, camera):
    sides = [(9, 20), (90, 200), (30, 60)]
    found = [detect(camera, after(0), bbox_x=0, bbox_y=0, bbox_width=w, bbox_height=h) for w, h in sides]
    Detection.objects.update(thumbnail_size_bytes=5)

    assert f"detection_{found[1].pk}_thumb.jpg" in page_of(browser)


def test_the_number_of_queries_does_not_grow_with_the_list(browser, camera: Camera, django_assert_num_queries):
    detect(camera, after(0))
    page_of(browser)
    with django_assert_num_queries(7):  # session, user, events, several, best, cameras, classes
        page_of(browser)
    for number in range(1, 8):
        other = make_camera()
        detect(other, after(number * 300))
        detect(other, after(number * 300))
    with django_assert_num_queries(7):
        page_of(browser)


def test_a_day_links_to_the_nearest_days_with_matching_events(browser, camera):
    for days, name in ((-30, "car"), (-1, "dog"), (0, "car"), (3, "car")):
        detect(camera, after(days * 86400), object_class=name)

    page = page_of(browser, "?day=2026-01-31&object_class=car")

    assert 'href="/events?object_class=car&day=2026-01-01" rel="prev"' in page
    assert 'href="/events?object_class=car&day=2026-02-03" rel="next"' in page
    assert 'href="/events?day=2026-01-30" rel="prev"' in page_of(browser, "?day=2026-01-31")
    assert 'rel="prev"' not in page_of(browser, "?day=2026-01-01")


def test_many_classes_are_offered_in_a_list(browser, camera):
    for number in range(7):
        detect(camera, after(number), object_class=f"class-{number}")

    page = page_of(browser, "?object_class=class-3")

    assert '<option value="class-3" selected>Class-3s</option>' in page
    assert page.count('class="chip"') == 3  # all, not reviewed, and the chosen one


def test_a_time_range_is_in_each_cameras_time_zone_and_means_overlap(browser, camera):
    far = make_camera("Far", time_zone="Pacific/Auckland")
    noon, evening = detect(camera, after(0)).event, detect(camera, after(8 * 3600)).event  # 12:00 and 20:00 in London
    there = detect(far, after(-5 * 3600)).event  # 20:00 there

    assert ids_in(page_of(browser, "?from=2026-01-31T19:00&to=2026-01-31T20:00")) == [evening.pk, there.pk]
    assert ids_in(page_of(browser, "?from=2026-01-31T12:00&to=2026-01-31T12:00")) == [noon.pk]
    assert ids_in(page_of(browser, "?to=2026-01-31T11:59")) == []
    assert "From 31 January, 19:00" in page_of(browser, "?from=2026-01-31T19:00")


@pytest.mark.parametrize(
    "query", ["?from=yesterday", "?to=9999-12-31T00:00", "?from=2026-02-01T00:00&to=2026-01-01T00:00", "?q=%00"]
)
def test_an_invalid_range_or_search_is_rejected(browser, camera, query):
    assert browser.get(f"/events{query}").status_code == 422


def test_a_search_covers_notes_classes_and_camera_names(browser, api, camera, family_camera):
    fox = detect(camera, after(0), object_class="motion").event
    Event.objects.filter(pk=fox.pk).update(notes="A FOX, 100% sure")
    car = detect(family_camera, after(100), object_class="car").event
    man = detect(family_camera, after(9000)).event
    goose = detect(family_camera, after(20_000), object_class="gänse").event
    searches = {
        "fox": [fox.pk],
        "100%": [fox.pk],
        "yard": [goose.pk, man.pk, car.pk],
        "gänse": [goose.pk],
        "yard cars": [car.pk],
        "people": [man.pk],
        "Movement": [fox.pk],
        "fox yard": [],
        "_": [],
        "[": [],
        ",": [fox.pk],
        "car ]": [],
    }

    for words, found in searches.items():
        assert ids_in(page_of(browser, f"?q={words.replace('%', '%25')}")) == found, words
        assert [item["id"] for item in api.get("/api/events", {"q": words}).json()["items"]] == found, words
