"""A deployment of one replica, by the Kubernetes API and its own library (the extra `kubernetes`).

Traps: a delete with a grace of 0 and "force" still sends SIGTERM first and does not wait for the death; `kill -9 1`
inside a container does nothing to its first process; and whatever is killed comes back by itself. So a kill here is
never exact; the process's number on its node is not known, and no check of gate 1 can see its processor time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gates.targets.kinds.control import MOST_LOG_BYTES, MOST_LOG_LINES, ControlError, Killed, Running
from gates.targets.kinds.processes import wait_until

CALL_LIMIT_S = 15
MISSING = "Kubernetes cannot be spoken to without its library: run `uv sync --extra kubernetes`."
UNSEEN = (
    "Kubernetes does not tell which process of its node a pod is: gate 1 cannot see that it stays the same one, nor "
    'its processor time, and stays inconclusive. On the pod\'s node describe it as kind = "external" with a status '
    "that prints its number (crictl inspect tells it); elsewhere let systemd, Docker or a command run it for gate 1."
)
NOT_EXACT = "the pod was deleted with a grace of 0: SIGTERM came first, so that the kill is not exact"


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Control of one deployment, through the kubeconfig (`context`) or the account of the pod that the portal is in."""

    deployment: str
    namespace: str = "default"
    selector: str = ""
    container: str = ""
    context: str = ""
    start_limit_s: float = 30.0
    stop_limit_s: float = 10.0

    def running(self) -> Running | None:
        """The pod that is ready, named by its id and how often its container was restarted."""
        with self._opened() as (apps, core):
            for pod in self._pods(apps, core):
                status = self._status(pod)
                if status is not None and status.ready and status.state.running is not None:
                    name = f"{pod.metadata.name} ({pod.metadata.uid}, restarted {status.restart_count} times)"
                    caution = "it comes back by itself after a kill, and a kill of it is not exact"
                    return Running(name, None, status.state.running.started_at, caution)
        return None

    def start(self) -> Running:
        """Scale to one and wait until its pod is ready."""
        with self._opened() as (apps, _):
            apps.patch_namespaced_deployment_scale(
                self.deployment, self.namespace, {"spec": {"replicas": 1}}, _request_timeout=CALL_LIMIT_S
            )
        wait_until(lambda: self.running() is not None, self.start_limit_s, f"No pod of {self.deployment} became ready")
        running = self.running()
        if running is None:
            raise ControlError(f"The pod of {self.deployment} is ready no more: see kubectl logs.")
        return running

    def stop(self) -> str:
        """Scale to none and wait until no pod is left."""
        began = time.monotonic()
        with self._opened() as (apps, core):
            apps.patch_namespaced_deployment_scale(
                self.deployment, self.namespace, {"spec": {"replicas": 0}}, _request_timeout=CALL_LIMIT_S
            )
            limit_s = self.stop_limit_s + CALL_LIMIT_S
            wait_until(lambda: not self._pods(apps, core), limit_s, f"Pods of {self.deployment} were left")
        return f"it ended, in {time.monotonic() - began:.1f} s"

    def kill(self) -> Killed:
        """Delete the pod with a grace of 0, and wait until the API knows it no more."""
        began = time.monotonic()
        with self._opened() as (apps, core):
            pods = self._pods(apps, core)
            if not pods:
                raise ControlError(f"No pod of {self.deployment} runs: there is nothing to kill.")
            ids = {pod.metadata.uid for pod in pods}
            for pod in pods:
                core.delete_namespaced_pod(
                    pod.metadata.name, self.namespace, grace_period_seconds=0, _request_timeout=CALL_LIMIT_S
                )
            wait_until(
                lambda: not ids & {pod.metadata.uid for pod in self._pods(apps, core)},
                self.stop_limit_s + CALL_LIMIT_S,
                f"The pod of {self.deployment} was not gone",
            )
        took_s = round(time.monotonic() - began, 3)
        return Killed(pods[0].metadata.name, None, took_s, exact=False, words=NOT_EXACT)

    def logs(self) -> str:
        """The last lines of the newest pod."""
        with self._opened() as (apps, core):
            pods = self._pods(apps, core)
            if not pods:
                raise ControlError(f"No pod of {self.deployment} is there, and so no log.")
            wanted = {"container": self.container} if self.container else {}
            text: str = core.read_namespaced_pod_log(
                pods[-1].metadata.name,
                self.namespace,
                tail_lines=MOST_LOG_LINES,
                limit_bytes=MOST_LOG_BYTES,
                _request_timeout=CALL_LIMIT_S,
                **wanted,
            )
        return text

    def _pods(self, apps: Any, core: Any) -> list[Any]:
        """Its pods, oldest first. Raises ControlError for more than one replica: a target is one process."""
        deployment = apps.read_namespaced_deployment(self.deployment, self.namespace, _request_timeout=CALL_LIMIT_S)
        if (deployment.spec.replicas or 0) > 1:
            raise ControlError(f"{self.deployment} has {deployment.spec.replicas} replicas: a target is one process.")
        labels = deployment.spec.selector.match_labels or {}
        wanted = self.selector or ",".join(f"{name}={value}" for name, value in labels.items())
        found = core.list_namespaced_pod(
            self.namespace, label_selector=wanted, limit=100, _request_timeout=CALL_LIMIT_S
        ).items
        return sorted(found, key=lambda pod: str(pod.metadata.creation_timestamp))

    def _status(self, pod: Any) -> Any:
        statuses = pod.status.container_statuses or []
        named = [status for status in statuses if self.container in ("", status.name)]
        return named[0] if named and pod.metadata.deletion_timestamp is None else None

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        try:
            from kubernetes import client, config  # noqa: PLC0415  an extra
            from urllib3.exceptions import HTTPError  # noqa: PLC0415  which kubernetes needs
        except ImportError:
            raise ControlError(MISSING) from None
        settings = client.Configuration()
        settings.retries = False  # each call is bounded; whoever waits asks again
        try:
            config.load_kube_config(context=self.context or None, client_configuration=settings)
        except config.ConfigException:
            try:
                config.load_incluster_config(client_configuration=settings)
            except config.ConfigException:
                words = "There is no kubeconfig, and the portal is in no cluster: set KUBECONFIG where it runs."
                raise ControlError(words) from None
        api = client.ApiClient(settings)
        try:
            yield client.AppsV1Api(api), client.CoreV1Api(api)
        except client.ApiException as error:
            step = "correct [process] deployment and namespace" if error.status == 404 else "see the account's rights"
            raise ControlError(f"Kubernetes answered {error.status} for {self.deployment}: {step}.") from None
        except HTTPError as error:
            raise ControlError(f"Kubernetes does not answer ({type(error).__name__}): see the kubeconfig.") from None
        finally:
            api.close()
