"""nginx in front, as it is deployed: Django decides, nginx sends the bytes (X-Accel-Redirect)."""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User

from cameras.models import Camera
from media_serving.models import Transcode
from media_serving.transcoding.requests import playback_version
from media_serving.transcoding.worker import make_playable
from nvr.accounts.models import ApiKey
from reviewer.registry import add_path
from tests.factories import folder_of, jpeg, make_camera, make_user, make_video, put
from tests.media_serving.ledger import enter
from tests.media_serving.raw_client import Raw
from tests.media_serving.stored import MJPEG, make_detection, make_event
from tests.servers import BASE_DIR, free_port, our_server, running

DEPLOY = BASE_DIR / "nvr" / "deploy"
SECRET = b"what nobody may read"
MEDIA = "/api/media/"
UNUSUAL = [
    "with blank.jpg",
    "ünïcödé 前門.jpg",
    "100%.jpg",
    "%41.jpg",
    "a+b&c.jpg",
    "new\nline.jpg",
    "q?.jpg",
    "b\\s.jpg",
]


def documented(name: str) -> str:
    """The value that the guide gives to a variable in its chapter on nginx, with this test's folders."""
    chapter = (BASE_DIR / "docs/guide/install.md").read_text().partition("\n## nginx\n")[2].partition("\n## ")[0]
    match = re.search(rf"(?:^| ){name}=(\S+)", chapter, re.MULTILINE)
    assert match, name
    value = match[1].replace("/srv/cameras", str(settings.NVR_CAMERA_ROOT))
    return value.replace("/var/lib/nvr", str(settings.NVR_DATA_DIR))


def configuration(folder: Path, upstream: str, port: int, site_only: str = "") -> Path:
    """The guide's configuration, with this test's folders and ports; `site_only` goes into `location /`."""
    given = {"NVR_UPSTREAM": upstream, "NVR_LISTEN": f"127.0.0.1:{port}"}
    site = (DEPLOY / "nginx.conf.template").read_text()
    for name in re.findall(r"\$(NVR_\w+)", site.partition("\nupstream")[0].partition("'")[2].partition("'")[0]):
        site = site.replace(f"${{{name}}}", given.get(name) or documented(name))
    site = site.replace("/etc/nginx/nvr-protected.conf", str(DEPLOY / "nginx-protected.conf"))
    site = site.replace("location / {", f"location / {{ {site_only}")
    (folder / "nvr-site.conf").write_text(site)
    main = (DEPLOY / "nginx-main.conf").read_text().replace("/tmp/", f"{folder}/")
    # Its workers must be able to read what the test wrote.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(user + main)
    return folder / "nginx.conf"


@contextmanager
def behind_nginx(folder: Path, site_only: str = "") -> Iterator[str]:
    """The address of nginx, with gunicorn behind it."""
    port = free_port()
    roots = documented("NVR_ACCEL_REDIRECT")
    with our_server(NVR_WEB_WORKERS="1", NVR_ACCEL_REDIRECT=roots, NVR_TRUSTED_PROXIES="127.0.0.1") as upstream:
        written = configuration(folder, urlsplit(upstream).netloc, port, site_only)
        with running(["nginx", "-c", str(written), "-g", "daemon off;"], f"http://127.0.0.1:{port}/api/health") as url:
            yield url


@pytest.fixture
def camera(transactional_db) -> Camera:
    folder = Path(settings.NVR_CAMERA_ROOT) / f"nginx-{os.urandom(4).hex()}" / "c"
    camera = make_camera("Front Door", folder_path=str(folder), groups=(Group.objects.create(name="family"),))
    put(folder, "a.jpg", b"0123456789")
    put(folder, "large.mp4", os.urandom(5_000_000))
    put(folder.parent, "secret.jpg", SECRET)
    return camera


@pytest.fixture
def nginx(camera, tmp_path) -> Iterator[str]:
    with behind_nginx(tmp_path) as url:
        yield url


def client(url: str, name: str, **values: object) -> Raw:
    _, key = ApiKey.objects.issue(user=make_user(name, **values), name=name)
    return Raw(url, key)


@pytest.mark.django_db(transaction=True)
def test_nginx_serves_what_django_allows_and_nothing_else(nginx, camera):
    """One server for many assertions: each part below reads as a test of its own."""
    chief = client(nginx, "chief", is_superuser=True)
    path = f"{MEDIA}cameras/{camera.slug}"

    the_bytes_are_the_files(chief, camera, path)
    ranges_and_conditions_are_nginxs(chief, path)
    unusual_names_arrive(chief, camera, path)
    every_kind_of_file_is_sent(chief, camera, path)
    what_is_hidden_stays_hidden(client(nginx, "outsider"), camera, path)
    the_internal_locations_are_closed(chief, camera)
    a_link_is_never_followed_out(chief, camera, path)
    attacks_are_refused(chief, path)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_chunked_body_arrives_completely_through_nginx(camera, tmp_path, buffering):
    with behind_nginx(tmp_path, f"proxy_request_buffering {buffering};") as url:
        host = urlsplit(url).netloc
        key = client(url, "chief", is_superuser=True).key
        link = http.client.HTTPConnection(host, timeout=20)
        pieces = iter([b'{"notes": ', b'"in pieces"', b"}"])
        headers = {"X-API-Key": key, "Content-Type": "application/json", "Transfer-Encoding": "chunked"}

        link.request("PATCH", f"/api/cameras/{camera.slug}", pieces, headers, encode_chunked=True)

        assert json.loads(link.getresponse().read())["notes"] == "in pieces"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_on_a_unix_socket_nginx_is_trusted_and_a_local_client_is_not(camera, tmp_path):
    socket_path, port = tmp_path / "nvr.sock", free_port()
    environment = {
        "NVR_WEB_WORKERS": "1",
        "NVR_UP_ADDRESS": f"unix:{socket_path}",  # as `up` tells its processes
        "NVR_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "NVR_ACCEL_REDIRECT": documented("NVR_ACCEL_REDIRECT"),
        "NVR_RATE_DEFAULT_ANONYMOUS": "3/d",
    }
    with our_server(f"unix:{socket_path}", **environment) as direct:
        site = configuration(tmp_path, f"unix:{socket_path}", port)
        # A client that claims an address of its own: nginx overwrites it, here with one that we can tell.
        site_file = tmp_path / "nvr-site.conf"
        site_file.write_text(site_file.read_text().replace("$remote_addr", "$arg_from"))
        with running(["nginx", "-c", str(site), "-g", "daemon off;"], f"http://127.0.0.1:{port}/login") as url:
            through = [Raw(url, "").get(f"/api/events?from=203.0.113.{n}").status for n in (1, 1, 1, 1, 2)]
            claimed = [Raw(direct, "").get("/api/events", X_Forwarded_For=f"198.51.100.{n}").status for n in range(4)]
            chief = client(url, "chief", is_superuser=True)
            picture = chief.get(f"{MEDIA}cameras/{camera.slug}/a.jpg")

    assert (picture.status, picture.body) == (200, b"0123456789")
    assert through == [401, 401, 401, 429, 401]
    assert claimed[-1] == 429


def the_bytes_are_the_files(chief: Raw, camera: Camera, path: str) -> None:
    answer = chief.get(f"{path}/large.mp4")

    assert answer.status == 200
    assert answer.body == (folder_of(camera) / "large.mp4").read_bytes()
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Disposition"] == 'inline; filename="large.mp4"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "X-Accel-Redirect" not in answer.headers
    assert answer.headers["ETag"].count("-") == 1, "nginx's own tag: it sent the bytes"
    assert chief.get(f"{path}/a.jpg?download=1").headers["Content-Disposition"].startswith("attachment")


def ranges_and_conditions_are_nginxs(chief: Raw, path: str) -> None:
    ranges = {
        "bytes=0-0": (206, b"0"),
        "bytes=-1": (206, b"9"),
        "bytes=9-": (206, b"9"),
        "bytes=5-99": (206, b"56789"),
        "bytes=0-1,3-4": (200, b"0123456789"),
        "items=0-1": (200, b"0123456789"),
    }
    for header, (status, body) in ranges.items():
        answer = chief.get(f"{path}/a.jpg", Range=header)
        assert (answer.status, answer.body) == (status, body), header
    assert chief.get(f"{path}/a.jpg", Range="bytes=10-").status == 416

    first = chief.get(f"{path}/a.jpg")
    assert chief.get(f"{path}/a.jpg", If_None_Match=first.headers["ETag"]).status == 304
    assert chief.get(f"{path}/a.jpg", If_Modified_Since=first.headers["Last-Modified"]).status == 304
    assert chief.get(f"{path}/a.jpg", Range="bytes=0-0", If_Range=first.headers["ETag"]).status == 206
    assert chief.get(f"{path}/a.jpg", Range="bytes=0-0", If_Range='"another"').status == 200
    head = chief.get(f"{path}/a.jpg", method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "10")


def unusual_names_arrive(chief: Raw, camera: Camera, path: str) -> None:
    for name in UNUSUAL:
        put(folder_of(camera), name, b"bytes of " + name.encode())
        answer = chief.get(f"{path}/{quote(name)}")
        assert (answer.status, answer.body) == (200, b"bytes of " + name.encode()), name


def every_kind_of_file_is_sent(chief: Raw, camera: Camera, path: str) -> None:
    for address, body in kinds_of_files(camera, path).items():
        answer = chief.get(address)
        assert answer.status == 200, address
        assert body is None or answer.body == body, address
        assert len(answer.body) == int(answer.headers["Content-Length"]) > 0, address
        assert chief.get(address, If_None_Match=answer.headers["ETag"]).status == 304, address
    assert chief.get(f"/api/cameras/{camera.slug}/snapshot", Range="bytes=0-0").status == 206


def kinds_of_files(camera: Camera, path: str) -> dict[str, bytes | None]:
    """An address of each kind that NVR serves, with its bytes where they are known beforehand."""
    folder, review = folder_of(camera), "/api/media-file?path="
    put(folder, "wide.jpg", jpeg(400, 300))
    make_video(folder / "v.avi", seconds=1, codec=MJPEG)
    detection = make_detection(camera, folder / "wide.jpg", thumbnail=b"a thumbnail")
    moving = make_detection(camera, folder / "v.avi", media_type="video", offset_ms=0)
    event = make_event(camera, clip=b"a clip")
    kept = enter(camera, "again.jpg", is_kept=True, state="done")
    put(kept.kept_path.parent, kept.kept_path.name, jpeg(seed=7))
    of_kept = make_detection(camera, folder / "again.jpg", upload=kept)
    converted = playback_version(folder / "v.avi")
    assert converted.path is None
    make_playable(Transcode.objects.get().pk)
    outside = put(Path(settings.NVR_DATA_DIR).parent / f"card-{os.urandom(4).hex()}", "a.jpg", jpeg(seed=6))
    chief = User.objects.get(username="chief")
    for place in (folder, outside.parent):
        add_path(chief, str(place))
    thumbnail = "/api/media-thumbnail?size={}&path={}"
    return {
        f"{path}/wide.jpg": jpeg(400, 300),
        f"{path}/wide.jpg?width=160": None,
        f"{path}/v.avi?width=160": None,
        f"{path}/v.avi?playable=1": None,
        f"{MEDIA}thumbnails/detection_{detection.pk}_thumb.jpg": b"a thumbnail",
        f"{MEDIA}clips/{event.pk}_clip.mp4": b"a clip",
        f"{MEDIA}detections/{detection.pk}": jpeg(400, 300),
        f"{MEDIA}detections/{moving.pk}": None,
        f"{MEDIA}detections/{of_kept.pk}": jpeg(seed=7),
        f"{MEDIA}uploads/{kept.pk}": jpeg(seed=7),
        f"/api/cameras/{camera.slug}/snapshot": None,
        f"/api/cameras/{camera.slug}/snapshot?width=160": None,
        f"{review}{quote(str(folder))}/wide.jpg": jpeg(400, 300),
        f"{review}{quote(str(folder))}/v.avi&playable=1": None,
        f"{review}{quote(str(outside))}": jpeg(seed=6),
        **{
            thumbnail.format(size, quote(str(file))): None
            for size in (100, 256)
            for file in (outside, folder / "wide.jpg")
        },
    }


def what_is_hidden_stays_hidden(outsider: Raw, camera: Camera, path: str) -> None:
    for target in (f"{path}/a.jpg", f"{MEDIA}cameras/{camera.uuid}/a.jpg", f"{MEDIA}clips/1_clip.mp4"):
        for method in ("GET", "HEAD"):
            answer = outsider.get(target, method=method, Range="bytes=0-0")
            assert answer.status == 404
            assert b"0123456789" not in answer.body
    assert Raw(f"http://{outsider.host}", "").get(f"{path}/a.jpg").status == 401


def the_internal_locations_are_closed(chief: Raw, camera: Camera) -> None:
    inside = str(folder_of(camera).relative_to(settings.NVR_CAMERA_ROOT)) + "/a.jpg"
    for target in (
        f"/_protected/cameras/{inside}",
        f"/_protected/cameras//{inside}",
        f"/%5fprotected/cameras/{inside}",
        f"/x/../_protected/cameras/{inside}",
        f"/_protected/cameras/../{inside}",
        "/_protected/cache/shared/",
        "/_protected/kept/",
        "/_protected/cameras/",
        "/_protected/",
    ):
        answer = chief.get(target, X_Accel_Redirect=f"/_protected/cameras/{inside}")
        assert answer.status in {302, 400, 403, 404}, target
        assert b"0123456789" not in answer.body


def a_link_is_never_followed_out(chief: Raw, camera: Camera, path: str) -> None:
    """Between Django's check and nginx's opening the file may become a link: nginx does not follow it."""
    folder, stop = folder_of(camera), threading.Event()
    (folder / "good").write_bytes(b"the camera's own")
    (folder / "evil").symlink_to(folder.parent / "secret.jpg")
    (folder / "inside.jpg").symlink_to("a.jpg")
    assert chief.get(f"{path}/inside.jpg").body == b"0123456789"
    (folder / "out.jpg").symlink_to(folder.parent / "secret.jpg")
    assert chief.get(f"{path}/out.jpg").status == 403

    def swap() -> None:
        while not stop.is_set():
            for name in ("good", "evil"):
                os.link(folder / name, folder / "next", follow_symlinks=False)
                os.replace(folder / "next", folder / "swapped.jpg")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(150):
            answer = chief.get(f"{path}/swapped.jpg")
            assert answer.status in {200, 403, 404}
            assert SECRET not in answer.body
    finally:
        stop.set()
        swapper.join()


def attacks_are_refused(chief: Raw, path: str) -> None:
    for target in (
        f"{path}/../secret.jpg",
        f"{path}/%2e%2e/secret.jpg",
        f"{path}/..%2fsecret.jpg",
        f"{path}//etc/passwd",
        f"{MEDIA}%2fetc/passwd",
        f"{MEDIA}/etc/passwd",
        "/../../etc/passwd",
        f"{path}/a.jpg%00",
    ):
        answer = chief.get(target)
        assert answer.status in {400, 403}, target
        assert SECRET not in answer.body
