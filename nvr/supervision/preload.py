"""Loading once what the processes of an installation share: they are forked from the supervisor afterwards."""

from __future__ import annotations

import ctypes
import gc
import platform
from importlib import import_module

from billiard.util import set_pdeathsig  # type: ignore[attr-defined]  # its stubs lack it
from celery import current_app
from django.apps import apps
from django.urls import get_resolver

# What Celery, gunicorn and Django import only when they start or at the first query.
MODULES = (
    "billiard.heap",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "billiard.synchronize",
    "celery.app.log",
    "celery.app.routes",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.events.receiver",
    "celery.fixups.django",
    "celery.worker.components",
    "celery.worker.consumer",
    "diskcache",
    "gunicorn.app.wsgiapp",
    "gunicorn.glogging",
    "kombu.mixins",
    "media_serving.management.commands.ingest",
    "nvr.queue.file_transport",
    "nvr.queue.scheduler",
    "nvr.webserver.configuration",
    "nvr.webserver.worker",
)
GAP_SIZES = (65536, 16384, 4096, 2048, *range(1024, 0, -16))  # in bytes


def preload() -> None:
    """Load code and fill caches that each process would otherwise keep a copy of; opens no connection or file.

    A page of memory is shared until one of the processes writes to it.
    """
    for name in MODULES:
        import_module(name)
    current_app.loader.init_worker()  # imports the tasks; a worker does it if it has not been done
    current_app.finalize()
    _ = get_resolver().reverse_dict
    for model in apps.get_models():
        if model._meta.managed:  # others have no table
            _ = str(model._base_manager.all().query)  # compiles it, which fills Django's caches of the model
    set_pdeathsig(0)  # sets nothing: billiard parses a C declaration first, which takes each process 10 MB
    gc.collect()
    gc.freeze()  # so that no process writes to the objects when it searches for garbage
    fill_gaps()


def fill_gaps() -> None:
    """Allocate the free memory between the loaded objects, for good: 6 MB in thousands of pieces.

    Otherwise each process puts its first data there, one piece on each of a thousand pages, and has its own copy of
    them all. Only for glibc's allocator, which serves small requests from such pieces as long as there are any.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_size_t
    end = 0
    for size in GAP_SIZES:
        while (address := malloc(size)) < end:
            pass
        end = address  # behind all others, so no gap of this size is left
