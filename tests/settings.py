"""The application's own settings, on a data folder that each test process makes and removes."""

import atexit
import os
import shutil
import tempfile

scratch = tempfile.mkdtemp(prefix="nvr-tests-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)
os.environ["NVR_DATA_DIR"] = scratch
if "TESTS_SHARED_DIR" not in os.environ:  # the first process of a run, which starts the others
    os.environ["TESTS_SHARED_DIR"] = tempfile.mkdtemp(prefix="nvr-tests-shared-")
    atexit.register(shutil.rmtree, os.environ["TESTS_SHARED_DIR"], ignore_errors=True)
os.environ.pop("NVR_CAMERA_ROOT", None)
if os.environ.get("REDIS_URL"):
    # Each test process has a Redis database of its own: they empty it between tests.
    server, _, number = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{server}/{int(number) + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"

from nvr.settings import *  # noqa: E402, F403  # after the folder is chosen

NVR_REVIEW_ROOTS = [*NVR_REVIEW_ROOTS, tempfile.gettempdir()]  # noqa: F405  # the cards of tests lie there
for folder in (NVR_CAMERA_ROOT, STATIC_ROOT):  # noqa: F405
    folder.mkdir(parents=True, exist_ok=True)
INSTALLED_APPS = [*INSTALLED_APPS, "tests.jobs"]  # noqa: F405  # a model for the tests of `nvr.jobs`
NVR_PUBLIC_SNAPSHOTS = True  # as while NVR is reached through loopback only
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, as in real life: threads and processes of a test share it.
    DATABASES["default"]["TEST"] = {"NAME": f"{scratch}/test.sqlite3"}  # noqa: F405
