"""The settings a user may give, from the environment and `.env`: typed, and all mistakes reported at once."""

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gates.role_names import ROLE_NAMES

BASE_DIR = Path(__file__).resolve().parent.parent
ADOPTED = "WARTEST_ADOPTED"  # the names of the variables that came from .env


class Environment(BaseSettings):
    """Every setting, its type and its default; the README lists them."""

    model_config = SettingsConfigDict(env_file=BASE_DIR / ".env", extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr = SecretStr("postgresql://wartest@127.0.0.1:5432/wartest")
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    broker_url: SecretStr | None = None
    public_url: str = ""
    wartest_home: Path = BASE_DIR / ".wartest"
    secret_key: SecretStr | None = None
    debug: bool = False
    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    reports_dir: Path = BASE_DIR / "reports"
    tick_s: float = Field(default=1.0, ge=0.2, le=30)
    keep_snapshots_days: int = Field(default=0, ge=0, le=36500)
    snapshot_limit_s: float = Field(default=600.0, ge=10, le=86400)
    sign_off_roles: str = "engineer,risk officer,owner"
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    watch_route: SecretStr | None = None
    watch_ping: SecretStr | None = None

    @property
    def task_broker_url(self) -> str:
        """Where Celery's messages go: a RabbitMQ where one is given, else the Redis or Valkey."""
        return (self.broker_url or self.redis_url).get_secret_value()

    @property
    def hosts(self) -> list[str]:
        """The hosts that the portal answers to: those that are given, and the public one."""
        given = [host.strip() for host in self.allowed_hosts.split(",") if host.strip()]
        return given + [host for host in (urlsplit(self.public_url).hostname,) if host and host not in given]

    @property
    def signing_roles(self) -> tuple[str, ...]:
        """The roles whose signatures a campaign needs, in the order in which pages show them."""
        return tuple(dict.fromkeys(role.strip() for role in self.sign_off_roles.split(",") if role.strip()))

    @field_validator("sign_off_roles")
    @classmethod
    def _known_roles(cls, roles: str) -> str:
        named = {role.strip() for role in roles.split(",") if role.strip()}
        if len(named) < 2 or not named <= set(ROLE_NAMES):
            raise ValueError(f"SIGN_OFF_ROLES must name two or more of: {', '.join(ROLE_NAMES)}")
        return roles

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, url: SecretStr) -> SecretStr:
        if urlsplit(url.get_secret_value()).scheme not in {"postgresql", "postgres"}:
            raise ValueError("DATABASE_URL must start with postgresql://")
        return url

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and urlsplit(url.get_secret_value()).scheme not in {"amqp", "amqps", "redis", "rediss"}:
            raise ValueError("BROKER_URL must start with amqp://, amqps://, redis:// or rediss://")
        return url

    @field_validator("public_url")
    @classmethod
    def _public(cls, url: str) -> str:
        parts = urlsplit(url)
        whole = parts.scheme == "https" and parts.hostname and not (parts.path.strip("/") or parts.query)
        if url and (not whole or parts.username):
            raise ValueError("PUBLIC_URL must be an https:// address without a path, like https://wartest.example.com")
        return url.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr) -> SecretStr:
        if urlsplit(url.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("REDIS_URL must start with redis:// or rediss://")
        return url


def load() -> Environment:
    """Read the environment; on mistakes print one line for each and end with exit code 2, showing no value."""
    try:
        return Environment()
    except ValidationError as error:
        for mistake in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in mistake["loc"]).upper()
            sys.stderr.write(f"Setting {name}: {mistake['msg']}. Correct it in the environment or in .env.\n")
        raise SystemExit(2) from None


def adopt_variables() -> None:
    """Put what `.env` holds beside our own settings into the environment, where descriptions find `env:NAME`; and note
    which they are, since our children inherit them, and `.env` may be mended while they run.
    """
    adopted = os.environ.get(ADOPTED, "").split()
    for name, value in _variables_of_file().items():
        if name not in os.environ:
            os.environ[name] = value
            adopted.append(name)
    os.environ[ADOPTED] = " ".join(sorted(set(adopted)))


def variable(name: str) -> str | None:
    """What `env:NAME` holds now: from the environment, else what `.env` says at this moment."""
    if name in os.environ and name not in os.environ.get(ADOPTED, "").split():
        return os.environ[name]
    return _variables_of_file().get(name)


def _variables_of_file() -> dict[str, str]:
    """What `.env` holds beside our own settings; nothing where there is none."""
    lines = dotenv_values(BASE_DIR / ".env").items()
    return {name: value for name, value in lines if value is not None and name.lower() not in Environment.model_fields}


def secret_key(environment: Environment) -> str:
    """Return the given secret key, or the one kept in the state directory (made on first use, mode 600)."""
    if environment.secret_key is not None:
        return environment.secret_key.get_secret_value()
    path = environment.wartest_home / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return _keep_new_key(path)
    except OSError as error:
        raise SystemExit(f"The secret key {path} cannot be read: {error.strerror}.") from None


def _keep_new_key(path: Path) -> str:
    """Write a new key so that of two processes that race, both end with the first one's key."""
    key = secrets.token_urlsafe(50)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"secret_key.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(key)
        try:
            os.link(draft, path)
        except FileExistsError:
            return path.read_text().strip()
        finally:
            draft.unlink()
    except OSError as error:
        sys.stderr.write(f"The folder {path.parent} cannot be written: {error.strerror}. Set WARTEST_HOME.\n")
        raise SystemExit(2) from None
    return key
