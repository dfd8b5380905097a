"""What `up` does: everything a portal needs, started in order on this machine."""

import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil

from gates.targets.processes import ProcessSpec
from gates.targets.rehearsal import (
    LEDGER_ENV,
    TOKEN_ENV,
    RehearsalPorts,
    live_desk,
    rehearsal_description,
    rehearsal_processes,
)
from wartest_site.embedded.children import CannotStartError, last_lines, write_private
from wartest_site.embedded.postgres import PostgresServer, prepare_postgres
from wartest_site.embedded.valkey import prepare_valkey
from wartest_site.environment import BASE_DIR, load
from wartest_site.premises import check_home, check_port, keep_ports
from wartest_site.stack import SERVICES_FILE, Services, sole_owner, write_services
from wartest_site.supervisor import Child, StopRequestedError, Supervisor

WEB_READY_LIMIT_S = 40.0
DESK_READY_LIMIT_S = 20.0
CELERY = (sys.executable, "-m", "celery", "-A", "wartest_site")


@dataclass(frozen=True)
class Launch:
    """What the user asked for: the web port, and whether a first campaign is started."""

    home: Path
    port: int
    campaign: bool


def bring_up(launch: Launch, say: Callable[[str], None]) -> None:
    """Start everything, keep it running until a signal, stop everything. Raises CannotStartError.

    1. Take the lock of the state directory, look at disk and ports.
    2. Start the portal's PostgreSQL and Valkey (unless given), while static files are collected.
    3. Migrate. 4. Start the target: its own PostgreSQL, the broker, the desk.
    5. Seed the portal, start web, workers, beat, streams and delivery, wait until the web answers, say where.
    """
    check_home(launch.home)
    with sole_owner(launch.home):
        supervisor = Supervisor(logs=launch.home / "log", cwd=BASE_DIR, say=say)
        with supervisor.catching_signals():
            check_port(launch.port)
            try:
                services = _Stack(launch, supervisor, say).start()
                write_services(launch.home, services)
                say(f"ready: {services.url}")
                supervisor.watch()
            except StopRequestedError:
                pass
            except OSError as error:
                raise CannotStartError(f"{launch.home} cannot be used: {error.strerror or error}") from error
            finally:
                say("stopping")
                (launch.home / SERVICES_FILE).unlink(missing_ok=True)
                supervisor.stop()
                say("stopped; nothing is lost")


class _Stack:
    """The steps of `bring_up`, sharing the supervisor and the environment that grows from step to step."""

    def __init__(self, launch: Launch, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self.launch = launch
        self.supervisor = supervisor
        self.say = say
        self.env = {"DJANGO_SETTINGS_MODULE": "wartest_site.settings", "WARTEST_HOME": str(launch.home)}

    def start(self) -> Services:
        self.say(f"state in {self.launch.home}")
        static = self._manage("collectstatic", "--noinput", "--verbosity=0")
        collecting = self.supervisor.spawn_once(static)
        ports = keep_ports(self.launch.home)
        self._start_portal_servers(ports)
        self.say("migrating the portal's database")
        self.supervisor.run_once(self._manage("migrate", "--noinput", "--verbosity=1"), limit_s=300)
        desk = self._start_target(ports)
        self.supervisor.wait_for(static, collecting, limit_s=300)
        web = self._start_portal()
        self._wait_for_desk(desk)
        self._seed()
        address = f"127.0.0.1:{self.launch.port}"
        self._ready("web", lambda: wait_for_web(address, self._wanted(web.alive)))
        me = psutil.Process()
        return Services(pid=me.pid, created=me.create_time(), url=f"http://{address}/", env=self.env)

    def _start_portal_servers(self, ports: dict[str, int]) -> None:
        given = load().model_fields_set
        if "database_url" in given:
            self.env["DATABASE_URL"] = load().database_url.get_secret_value()
        else:
            server = self._start_postgres("portal-postgres", ports["portal_postgres"])
            self.env["DATABASE_URL"] = server.create_database("wartest")
        if "redis_url" in given:
            self.env["REDIS_URL"] = load().redis_url.get_secret_value()
        else:
            self.say("starting Valkey")
            valkey = prepare_valkey(self.launch.home / "valkey", port=ports["valkey"])
            child = self.supervisor.start(valkey.process("valkey"), foundation=True)
            self._ready("valkey", lambda: valkey.wait_ready(alive=self._wanted(child.alive)))
            self.env["REDIS_URL"] = valkey.url()

    def _start_postgres(self, name: str, port: int) -> PostgresServer:
        self.say(f"starting PostgreSQL ({name})")
        server = prepare_postgres(self.launch.home / name, port=port)
        child = self.supervisor.start(server.process(name), foundation=True)
        self._ready(name, lambda: server.wait_ready(alive=self._wanted(child.alive)))
        return server

    def _start_target(self, ports: dict[str, int]) -> str:
        """Returns the address at which the desk tells its health."""
        server = self._start_postgres("target-postgres", ports["target_postgres"])
        ledger_url, live_ledger_url = server.create_database("desk"), server.create_database("live_desk")
        self.say("starting the rehearsal broker and the desk")
        token = _kept_token(self.launch.home / "rehearsal_token")
        rehearsal = RehearsalPorts(ports["broker"], ports["control"], ports["desk"], ports["live_desk"])
        for spec in rehearsal_processes(self.launch.home, rehearsal, ledger_url, token):
            self.supervisor.start(spec)
        self.supervisor.start(live_desk(rehearsal, live_ledger_url, token))
        self.env[TOKEN_ENV] = token
        self.env[LEDGER_ENV] = ledger_url
        description = rehearsal_description(rehearsal, ledger_url, live_ledger_url)
        logs = {"desk_log": "desk", "live_desk_log": "live-desk"}
        description |= {name: str(self.supervisor.log_of(process)) for name, process in logs.items()}
        self.env["WARTEST_REHEARSAL_JSON"] = json.dumps(description)
        return f"{description['desk_url']}/health"

    def _wait_for_desk(self, health: str) -> None:
        """A campaign needs a well target; the portal does not, so a desk that stays ill stops nothing here."""
        deadline = time.monotonic() + DESK_READY_LIMIT_S
        while _status(health) != HTTPStatus.OK:
            self.supervisor.check()
            self.supervisor.revive(time.monotonic())
            if time.monotonic() > deadline:
                self.say(f"the desk is not well after {DESK_READY_LIMIT_S:.0f} s: see desk.log and broker.log")
                return
            time.sleep(0.1)

    def _seed(self) -> None:
        """Its words go to the terminal only: they hold the first user's password, which is shown once."""
        self.say("seeding the portal")
        arguments = () if self.launch.campaign else ("--no-campaign",)
        spec = self._manage("seed_portal", *arguments)
        log = self.supervisor.log_of(spec.name)
        log.unlink(missing_ok=True)
        log.touch(mode=0o600)
        self.supervisor.run_once(spec, limit_s=180)
        for line in log.read_text(errors="replace").splitlines():
            self.say(line)
        log.unlink(missing_ok=True)

    def _start_portal(self) -> Child:
        self.say("starting web, workers, beat, streams and delivery")
        web = self.supervisor.start(web_process(self.launch.port, self.env))
        for worker in worker_processes(self.env):
            self.supervisor.start(worker)
        self.supervisor.start(beat_process(self.launch.home, self.env))
        self.supervisor.start(streams_process(self.env))
        self.supervisor.start(delivery_process(self.env))
        if load().watch_route or load().watch_ping:
            self.supervisor.start(self._manage("watch", "--web", f"http://127.0.0.1:{self.launch.port}"))
        return web

    def _manage(self, command: str, *arguments: str) -> ProcessSpec:
        argv = (sys.executable, str(BASE_DIR / "manage.py"), command, *arguments)
        return ProcessSpec(name=command, argv=argv, env=dict(self.env))

    def _wanted(self, alive: Callable[[], bool]) -> Callable[[], bool]:
        """A wait ends early when the child is dead or when the user wants us to stop."""
        return lambda: alive() and not self.supervisor.stop_requested

    def _ready(self, name: str, wait: Callable[[], None]) -> None:
        try:
            wait()
        except CannotStartError as error:
            self.supervisor.check()
            log = self.supervisor.log_of(name)
            raise CannotStartError(f"{error}: {last_lines(log, count=2)} (all of it in {log})") from None
        self.supervisor.check()


def worker_processes(env: dict[str, str]) -> list[ProcessSpec]:
    """One worker for ticks alone, so that no slow check delays a tick, and one for all other work.

    A check mostly waits for its target, so there are two processes for each processor.
    """
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
    many = str(2 * (os.cpu_count() or 1))
    return [
        ProcessSpec("ticker", (*CELERY, "worker", "-n", "ticker@%h", "-Q", "tick", "-c", "1", *quiet), env),
        ProcessSpec("worker", (*CELERY, "worker", "-n", "worker@%h", "-Q", "checks,reports", "-c", many, *quiet), env),
    ]


def beat_process(home: Path, env: dict[str, str]) -> ProcessSpec:
    """What ticks. Two of them would do no harm."""
    schedule = str(home / "beat-schedule")
    return ProcessSpec("beat", (*CELERY, "beat", "--schedule", schedule, "--pidfile=", "--loglevel=WARNING"), env)


def streams_process(env: dict[str, str]) -> ProcessSpec:
    """What holds the brokers' streams. A second one waits for the first one's lease."""
    return ProcessSpec("streams", (sys.executable, "-m", "gates.streams"), env)


def delivery_process(env: dict[str, str]) -> ProcessSpec:
    """What delivers alerts. Two of them share the work."""
    return ProcessSpec("delivery", (sys.executable, "-m", "gates.alerts.delivery"), env)


def web_process(port: int, env: dict[str, str]) -> ProcessSpec:
    """The web server on loopback."""
    argv = (
        *(sys.executable, "-m", "gunicorn", "wartest_site.wsgi", "--worker-class", "gthread"),
        *("--preload", "--workers", "2", "--threads", "8", "--bind", f"127.0.0.1:{port}"),
        *("--graceful-timeout", "5", "--no-control-socket"),
    )
    return ProcessSpec("web", argv, env)


def wait_for_web(address: str, alive: Callable[[], bool], *, limit_s: float = WEB_READY_LIMIT_S) -> None:
    """Any answer will do: what it says of its health is for its pages. Raises CannotStartError."""
    deadline = time.monotonic() + limit_s
    while alive() and time.monotonic() < deadline:
        if _status(f"http://{address}/healthz") is not None:
            return
        time.sleep(0.1)
    raise CannotStartError(f"The web server at {address} did not answer")


def _status(url: str) -> int | None:
    """The status that an address of ours answers, or None."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - one of our own addresses
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def _kept_token(file: Path) -> str:
    if not file.exists():
        write_private(file, secrets.token_urlsafe(24))
    return file.read_text().strip()
