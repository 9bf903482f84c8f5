"""What templates may ask for: ages, sizes, counts, icons, neighbours and the navigation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from nvr.pages.templatetags import nvr_pages

MOMENT = datetime(2025, 11, 14, 19, 32, 7, tzinfo=UTC)


def rendered(source: str, **context: object) -> str:
    return Template("{% load nvr_pages %}" + source).render(Context(context))


def files(*names: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(page_url=f"/{name}") for name in names]


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: MOMENT)


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=-90), "now"),
        (timedelta(milliseconds=900), "now"),
        (timedelta(seconds=2), "2 s ago"),
        (timedelta(seconds=59.9), "59 s ago"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=26), "26 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=3, minutes=12), "3 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=5, hours=7), "5 days ago"),
    ],
)
def test_an_age_has_its_largest_unit(clock, passed, words):
    assert nvr_pages.age(MOMENT - passed) == words


def test_the_age_of_none_is_never():
    assert nvr_pages.age(None) == "never"


def test_an_age_in_a_page_has_its_timestamp_in_utc(clock):
    in_berlin = (MOMENT - timedelta(seconds=2)).astimezone(timezone.get_fixed_timezone(60))

    html = rendered("{% ago moment %}", moment=in_berlin)

    assert html == '<time data-age datetime="2025-11-14T19:32:05.000Z">2 s ago</time>'


def test_the_age_of_none_in_a_page_has_no_timestamp():
    assert rendered("{% ago moment %}", moment=None) == '<time data-age datetime="">never</time>'


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (3_140_000, "3.1 MB"),
        (99_940_000, "99.9 MB"),
        (99_960_000, "100 MB"),
        (999_600_000, "1 GB"),
        (412_000_000_000, "412 GB"),
        (2_000_000_000_000, "2 TB"),
        (12_340_000_000_000_000, "12340 TB"),
        (None, "unknown size"),
    ],
)
def test_a_size_has_three_digits_and_decimal_units(size_bytes, words):
    assert nvr_pages.filesize(size_bytes) == words


def test_thousands_are_separated():
    assert [nvr_pages.thousands(n) for n in (7, 1940, 1_234_567)] == [
        "7",
        "1\u202f940",
        "1\u202f234\u202f567",
    ]


@pytest.mark.parametrize(
    ("url", "scaled"),
    [
        ("/api/media/cameras/gate/x.jpg", "/api/media/cameras/gate/x.jpg?width=640"),
        ("/api/cameras/gate/snapshot?v=3", "/api/cameras/gate/snapshot?v=3&width=640"),
    ],
)
def test_a_width_is_added_to_the_url_of_a_picture(url, scaled):
    assert nvr_pages.at_width(url, 640) == scaled


def test_screen_readers_read_an_icon_only_if_it_has_a_label():
    beside_a_word, alone = rendered('{% icon "close" %}'), rendered('{% icon "close" "Dismiss" %}')

    assert 'aria-hidden="true"' in beside_a_word
    assert 'role="img" aria-label="Dismiss"' in alone
    assert "aria-hidden" not in alone


def test_an_unknown_icon_is_a_dot():
    assert "<circle" in rendered('{% icon "no-such-drawing" %}')


def test_the_label_of_an_icon_is_escaped():
    assert "<b>" not in rendered('{% icon "close" label %}', label='"><b>')


def test_every_icon_used_in_a_template_exists(settings):
    templates = Path(settings.TEMPLATES[0]["DIRS"][0])
    drawn = {path.stem for path in (templates / "components/icons").glob("*.svg")}
    named = {
        words.split('"')[1]
        for path in templates.rglob("*.html")
        for words in path.read_text().split("{% icon ")[1:]
        if words.startswith('"')
    }

    assert named <= drawn


def test_neighbours_are_the_previous_and_next_files_of_the_list():
    listed = files("c.jpg", "b.jpg", "a.jpg")

    newest, middle, oldest = (nvr_pages.neighbours(listed, file) for file in listed)

    assert (newest.newer, newest.older) == (None, listed[1])
    assert (middle.newer, middle.older) == (listed[0], listed[2])
    assert (oldest.newer, oldest.older) == (listed[1], None)


@pytest.mark.parametrize("selected", [None, SimpleNamespace(page_url="/gone.jpg")])
def test_a_file_that_is_not_listed_has_no_neighbours(selected):
    assert nvr_pages.neighbours(files("a.jpg"), selected) == (None, None)


def test_the_navigation_marks_the_current_page_and_shows_counts(monkeypatch):
    items = [
        SimpleNamespace(label="Live", url="/", icon="live", current=True, count=None),
        SimpleNamespace(label="Review", url="/review", icon="review", current=False, count=1940),
    ]
    monkeypatch.setattr(nvr_pages, "items_for", lambda request: items)

    html = rendered("{% navigation %}", request=RequestFactory().get("/"))

    assert html.count('aria-current="page"') == 1
    assert html.index('aria-current="page"') < html.index("Live") < html.index("Review")
    assert "1\u202f940" in html


def test_the_navigation_shows_the_admin_to_staff_only():
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert "Manage" not in rendered("{% navigation %}", request=request)

    request.user = User(username="boss", is_staff=True, is_superuser=True)
    assert "Manage" in rendered("{% navigation %}", request=request)
