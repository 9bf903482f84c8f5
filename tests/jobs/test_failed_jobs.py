"""The list of failed jobs in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery import current_app
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from cameras.models import Camera, Purge
from media_serving.models import ClipWork, Event, Transcode, Upload
from nvr.audit.models import AuditEntry
from nvr.jobs import failed
from nvr.jobs.models import Job, JobState
from reviewer.models import RunState, TrashRun
from reviewer.registry import add_path
from tests.factories import make_camera, make_user
from tests.jobs.models import SampleJob
from tests.media_serving.ledger import enter

PAGE = "/admin/jobs/failedjob/"
VIEW = [f"{app}.view_{model}" for app, model in (("media_serving", "upload"), ("media_serving", "clipwork"))]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks that were sent."""
    names: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **options: names.append(name))
    return names


@pytest.fixture
def desk(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def failure(minutes_ago: int, reason: str) -> dict[str, object]:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    return {"state": "failed", "reason": reason, "failed_at": at, "attempts": 3}


def failed_upload(camera: Camera, minutes_ago: int = 1) -> Upload:
    return enter(camera, "broken.jpg", **failure(minutes_ago, "The disk failed."))


def failed_clip(camera: Camera, minutes_ago: int = 1) -> ClipWork:
    now = timezone.now()
    event = Event.objects.create(camera=camera, started_at=now, last_detected_at=now, ended_at=now)
    return ClipWork.objects.create(event=event, **failure(minutes_ago, "ffmpeg did not end."))


def failed_transcode(minutes_ago: int = 1) -> Transcode:
    values = failure(minutes_ago, "The video is cut off.")
    return Transcode.objects.create(key="k", path="/card/a%20b.avi", mtime_ns=1, source_size_bytes=1, **values)


def failed_purge(minutes_ago: int = 1) -> Purge:
    camera = make_camera("Gone", deleted_at=timezone.now())
    return Purge.objects.create(camera=camera, actor_name="chief", **failure(minutes_ago, "It broke."))


def failed_run(user: User, path: str = "/card", minutes_ago: int = 1) -> TrashRun:
    values = failure(minutes_ago, "No worker started it.")
    return TrashRun.objects.create(started_by=user, started_by_name=user.username, path=path, roots=[path], **values)


def text_of(client: Client, url: str = PAGE) -> str:
    return client.get(url).content.decode()


def retry(client: Client, *jobs: Job) -> str:
    keys = [f"{job._meta.model_name}:{job.pk}" for job in jobs]
    return client.post(PAGE, {"job": keys}, follow=True).content.decode()


def test_every_kind_of_job_is_in_the_list() -> None:
    models = {model for model in apps.get_models() if issubclass(model, Job) and model is not SampleJob}

    assert models == {kind.model for kind in failed.all_kinds()}


def test_all_kinds_are_in_one_list_the_latest_failure_first(desk: Client, admin: User, camera: Camera) -> None:
    failed_upload(camera, 5)
    clip = failed_clip(camera, 4)
    failed_transcode(3)
    failed_purge(2)
    failed_run(admin, minutes_ago=1)

    page = text_of(desk)

    texts = ["trash of /card", "purge of Gone", "/card/a b.avi", f"{camera}: {clip}", f"{camera}: broken.jpg"]
    places = [page.index(f">{text}<") for text in texts]
    assert places == sorted(places)
    assert "The disk failed." in page
    assert "5 failed jobs" in page
    assert f'href="/admin/media_serving/clipwork/{clip.pk}/change/"' in page


def test_jobs_that_have_not_failed_are_not_listed(desk: Client, camera: Camera) -> None:
    enter(camera, "done.jpg", state="done")
    enter(camera, "waits.jpg", state="waiting")
    enter(camera, "text.txt", state="rejected", reason="It is no picture.")
    assert "No job has failed." in text_of(desk)

    failed_upload(camera)

    page = text_of(desk)
    assert "1 failed job" in page
    assert "text.txt" not in page


def test_the_list_is_narrowed_to_one_kind(desk: Client, camera: Camera) -> None:
    failed_upload(camera)
    failed_transcode()

    page = text_of(desk, f"{PAGE}?kind=transcode")

    assert "/card/a b.avi" in page
    assert "broken.jpg" not in page
    assert "broken.jpg" in text_of(desk, f"{PAGE}?kind=no-such-kind")


def test_the_list_is_paged(desk: Client, camera: Camera) -> None:
    for number in range(51):
        enter(camera, f"{number:02}.jpg", **failure(60 - number, "The disk failed."))

    first, second = text_of(desk), text_of(desk, f"{PAGE}?p=2")

    assert "51 failed jobs" in first
    assert "50.jpg" in first and "00.jpg" not in first
    assert "00.jpg" in second and "50.jpg" not in second


@pytest.mark.parametrize("query", ["p=x", "p=-1", f"p={10**30}", f"p={'9' * 5000}", "p=%00", "kind=%00", "kind=x&p=2"])
def test_the_list_is_shown_whatever_is_typed(desk: Client, camera: Camera, query: str) -> None:
    failed_upload(camera)

    assert "1 failed job" in text_of(desk, f"{PAGE}?{query}")


def test_the_number_of_queries_does_not_depend_on_the_number_of_jobs(
    desk: Client, admin: User, camera: Camera, django_assert_max_num_queries
) -> None:
    for number in range(30):
        enter(make_camera(f"Camera {number}"), "a.jpg", **failure(1, "The disk failed."))
        failed_clip(camera)
        failed_run(admin, f"/card{number}")

    with django_assert_max_num_queries(20):
        text_of(desk)


# Retry


def test_selected_jobs_are_retried(desk: Client, camera: Camera, sent: list[str]) -> None:
    upload, clip, transcode, other = failed_upload(camera), failed_clip(camera), failed_transcode(), failed_clip(camera)

    page = retry(desk, upload, clip, transcode)

    assert "Queued 3 jobs for retry." in page
    for job in (upload, clip, transcode):
        job.refresh_from_db()
        assert (job.state, job.reason, job.attempts, job.failed_at) == (JobState.WAITING, "", 0, None)
    other.refresh_from_db()
    assert other.state == JobState.FAILED
    assert AuditEntry.objects.filter(action="upload_retried", target_pk=upload.pk).exists()


def test_a_failed_purge_is_continued(desk: Client) -> None:
    purge = failed_purge()

    assert "Queued 1 job for retry." in retry(desk, purge)

    assert not Camera.everything.filter(pk=purge.camera_id).exists()
    assert AuditEntry.objects.get(action="camera_purged").actor_name == "chief"


def test_retrying_a_trash_run_starts_a_new_one_that_replaces_it_in_the_list(
    desk: Client, admin: User, tmp_path, sent: list[str]
) -> None:
    card = tmp_path.resolve() / "card"
    card.mkdir()
    add_path(admin, str(card))
    run = failed_run(admin, str(card))
    assert f"trash of {card}" in text_of(desk)

    page = retry(desk, run)

    new = TrashRun.objects.exclude(pk=run.pk).get()
    assert (new.path, new.state, new.started_by) == (str(card), RunState.WAITING, admin)
    assert sent == ["reviewer.empty_trash"]
    assert "Queued 1 job for retry." in page
    assert "No job has failed." in page


def test_a_retry_that_is_impossible_is_explained(desk: Client, admin: User) -> None:
    run = failed_run(admin, "/no/such/card")

    page = retry(desk, run)

    assert "Trash of /no/such/card: The path is not under a known review path." in page
    assert not TrashRun.objects.exclude(pk=run.pk).exists()


@pytest.mark.parametrize(
    "key", ["", "upload:", "upload:x", "upload:99999999999999999999", "user:1", "upload:²", "a:b:c"]
)
def test_keys_that_name_no_failed_job_are_reported(desk: Client, key: str) -> None:
    page = desk.post(PAGE, {"job": [key]}, follow=True)

    assert page.status_code == 200
    assert "No job was retried" in page.content.decode()


def test_a_job_that_was_retried_meanwhile_is_left_alone(desk: Client, camera: Camera) -> None:
    upload = failed_upload(camera)
    Upload.objects.filter(pk=upload.pk).update(state="working", reason="")

    assert "No job was retried" in retry(desk, upload)

    upload.refresh_from_db()
    assert upload.state == "working"


# Access


def test_staff_see_the_kinds_and_cameras_that_they_may_see(family: Group, camera: Camera) -> None:
    theirs = make_camera("Theirs", groups=(family,))
    failed_upload(theirs)
    clip = failed_clip(theirs)
    failed_upload(camera)
    failed_transcode()
    client = Client()
    client.force_login(make_user("clerk", "media_serving.view_upload", is_staff=True, groups=(family,)))

    page = text_of(client)

    assert "Theirs: broken.jpg" in page
    assert "1 failed job" in page
    assert str(clip) not in page


def test_who_may_only_look_cannot_retry(family: Group) -> None:
    theirs = make_camera("Theirs", groups=(family,))
    upload = failed_upload(theirs)
    client = Client()
    client.force_login(make_user("clerk", *VIEW, is_staff=True, groups=(family,)))
    assert 'name="job"' not in text_of(client)

    assert "No job was retried" in retry(client, upload)

    upload.refresh_from_db()
    assert upload.state == "failed"


def test_a_foreign_cameras_job_cannot_be_retried(family: Group, camera: Camera) -> None:
    upload = failed_upload(camera)
    user = make_user("clerk", *VIEW, "media_serving.change_upload", is_staff=True, groups=(family,))
    client = Client()
    client.force_login(user)

    retry(client, upload)

    upload.refresh_from_db()
    assert upload.state == "failed"


@pytest.mark.parametrize("permissions", [(), ("cameras.view_camera",)])
def test_staff_without_any_kind_of_job_have_no_list(permissions: tuple[str, ...]) -> None:
    client = Client()
    client.force_login(make_user("clerk", *permissions, is_staff=True))

    assert client.get(PAGE).status_code == 403
    assert PAGE not in text_of(client, "/admin/")


def test_the_admins_index_links_to_the_list(desk: Client) -> None:
    assert f'href="{PAGE}"' in text_of(desk, "/admin/")


def test_others_are_sent_away(client: Client) -> None:
    assert client.get(PAGE).status_code == 302
    client.force_login(make_user("ann", *VIEW))
    assert client.get(PAGE).status_code in {302, 403}
