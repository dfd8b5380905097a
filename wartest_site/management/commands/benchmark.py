"""`manage.py benchmark`: measure one thing on this machine, and say it in figures."""

import json
import os
import platform
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psutil
from django.core.management.base import BaseCommand, CommandError

from wartest_site.benchmarks import BENCHMARKS, Figures, benchmark
from wartest_site.benchmarks.aims import lines_of
from wartest_site.embedded.children import CannotStartError


class Command(BaseCommand):
    help = "Measure one thing on this machine, on servers of its own; exits 0 when measured, 2 when it could not."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=BENCHMARKS, help="what to measure")
        parser.add_argument("--scale", type=int, metavar="N", help="how much; each benchmark says of what")
        parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        measured = benchmark(options["name"])
        scale = measured.SCALE if options["scale"] is None else options["scale"]
        if scale < 1:
            raise CommandError("--scale must be a whole number above 0.", returncode=2)
        file: Path | None = options["json"]
        if file is not None and not os.access(file.resolve().parent, os.W_OK):
            raise CommandError(f"{file} cannot be written: give a file in a folder that can.", returncode=2)
        began = time.monotonic()

        def say(line: str) -> None:
            self.stdout.write(f"{time.monotonic() - began:6.1f} s  {line}")
            self.stdout.flush()

        try:
            figures = measured.measure(scale, say)
        except CannotStartError as error:
            self.stderr.write(f"{error}.")
            sys.exit(2)
        for line in lines_of(options["name"], figures):
            self.stdout.write(line)
        if file is not None:
            _write(file, options["name"], figures)
            self.stdout.write(str(file))


def _write(file: Path, name: str, figures: Figures) -> None:
    """Write the whole file or none of it."""
    draft = file.with_name(f".{file.name}.part")
    draft.write_text(json.dumps({"name": name, "machine": machine(), "figures": figures}, indent=2) + "\n")
    draft.replace(file)


def machine() -> str:
    """The machine in one line: processors, memory, system, Python."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} × {platform.machine()}, {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
