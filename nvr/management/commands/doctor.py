"""`manage.py doctor`: checks the installation and prints a fix for each problem."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from nvr.installation.doctor import Finding, run_checks


class Command(BaseCommand):
    help = "Checks the installation. Exit status 0 if nothing failed (warnings do not count), else 1."
    requires_system_checks: list[str] = []  # the doctor must run on a broken installation

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in run_checks():
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(self.coloured(finding))
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2))
        if any(finding.level == "fail" for finding in findings):
            sys.exit(1)

    def coloured(self, finding: Finding) -> str:
        style = {"ok": self.style.SUCCESS, "warn": self.style.WARNING, "fail": self.style.ERROR}[finding.level]
        return style(str(finding))
