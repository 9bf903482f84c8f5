"""`manage.py up`: prepares and runs the whole installation on one machine."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from nvr.errors import NvrError
from nvr.installation.addresses import addresses
from nvr.installation.first_administrator import FirstAdministrator, create_first_administrator
from nvr.installation.migrations import migrate
from nvr.installation.places import data_layout
from nvr.installation.static_files import collect_if_changed
from nvr.private_files import make_shared, restrict_all
from nvr.settings import public_snapshots
from nvr.supervision.environment import DEFAULT_HOST, ensure_environment
from nvr.supervision.forking import fork_command
from nvr.supervision.instance import AlreadyRunning, Instance, store_address
from nvr.supervision.listening import CannotListen, address_of, listening_socket, port_of
from nvr.supervision.preload import preload
from nvr.supervision.programs import demo, installation
from nvr.supervision.supervisor import Supervisor, describe_exit, print_line


class Command(BaseCommand):
    help = "Prepares and runs everything: web server, workers, scheduler. Stop with Ctrl-C or SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host",
            default=DEFAULT_HOST,
            help="address to listen on; 0.0.0.0 for all addresses, unix:/path for a proxy on this machine",
        )
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--prepare", action="store_true", help="migrate and prepare only, start nothing")
        parser.add_argument(
            "--demo", action="store_true", help="add cameras with generated pictures, and a memory card to review"
        )

    def handle(self, *args: Any, host: str, port: int, prepare: bool, **options: Any) -> None:
        try:
            if prepare:
                self.prepare([], "")
            else:
                self.run(host, port, with_demo=options["demo"])
        except (AlreadyRunning, CannotListen) as error:
            raise CommandError(str(error)) from error
        except NvrError as error:
            raise CommandError(error.detail) from error
        except DatabaseError as error:
            raise CommandError(f"The database does not respond ({str(error).strip()}): check DATABASE_URL.") from error

    def run(self, host: str, port: int, *, with_demo: bool) -> None:
        mark = ensure_environment(host)
        instance = Instance.acquire(settings.RUN_DIR, mark)
        listener = listening_socket(host, port)
        address = address_of(listener)
        store_address(settings.RUN_DIR, address)
        reachable = addresses(host, port_of(listener))
        preparation = fork_command(lambda: self.prepare(reachable, address))
        preload()
        wait_for(preparation)
        print_line("supervisor", f"starting; open {'  or  '.join(reachable)}")
        os.chdir(settings.BASE_DIR)
        processes = [*installation(listener.fileno()), *([demo()] if with_demo else [])]
        Supervisor(processes, instance.mark, print_line).run()

    def prepare(self, reachable: list[str], address: str) -> None:
        collection = fork_command(self.collect_static_files)
        make_shared(settings.NVR_CAMERA_ROOT)
        migrate(lambda line: print_line("supervisor", line))
        for warning in restrict_all(data_layout()):
            print_line("supervisor", warning)
        wait_for(collection)
        created = create_first_administrator()
        if created:
            self.stdout.write(welcome(created, reachable, public=public_snapshots(address)))
            self.stdout.flush()
        connections.close_all()

    def collect_static_files(self) -> None:
        if collect_if_changed():
            print_line("supervisor", "Static files were collected.")


def wait_for(child: int) -> None:
    """Wait for a child of this command; if it fails, end with its status, since it has reported the reason."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        raise CommandError(f"The preparation {describe_exit(status)}: start NVR again.")
    if status:
        sys.exit(status)


def welcome(created: FirstAdministrator, reachable: list[str], *, public: bool) -> str:
    """Return a box with the credentials, which are shown only once."""
    snapshots = "of cameras without a group: without signing in" if public else "only after signing in"
    rows = [
        "The first administrator was created. This is shown once:",
        "",
        *([f"address   {reachable[0]}"] if reachable else []),
        f"username  {created.username}",
        f"password  {created.password or 'the one in NVR_ADMIN_PASSWORD'}",
        f"API key   {created.api_key}",
        f"snapshots {snapshots} (NVR_PUBLIC_SNAPSHOTS)",
    ]
    width = max(len(row) for row in rows)
    edge = "─" * (width + 4)
    return "\n".join([f"┌{edge}┐", *(f"│  {row:<{width}}  │" for row in rows), f"└{edge}┘"])
