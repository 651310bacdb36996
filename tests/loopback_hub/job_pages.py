"""Jobs: accepted, listed and ended as the client speaks of them; whoever tests is the machine that carries them out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.loopback_hub.access import check_namespace, signed_in
from tests.loopback_hub.repository import now
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

PRICE = {"unitCostMicroUSD": 13333, "unitCostUSD": 0.013333, "unitLabel": "minute"}
HARDWARE = (
    {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB"},
    {"name": "l4x1", "prettyName": "1x Nvidia L4", "cpu": "8 vCPU", "ram": "30 GB"},
)


@dataclass
class HubJob:
    """A Job, as its owner may see it, and what it was given in secret."""

    number: str
    namespace: str
    spec: Mapping[str, Any]
    secrets: Mapping[str, str]
    stage: str = "SCHEDULING"
    message: str | None = None
    created: str = field(default_factory=now)

    def seen(self) -> dict[str, Any]:
        shown = {name: self.spec.get(name) for name in ("dockerImage", "command", "arguments", "environment", "flavor")}
        owner = {"id": self.namespace, "name": self.namespace, "type": "user"}
        status = {"stage": self.stage, "message": self.message}
        return {"id": self.number, "createdAt": self.created, **shown, "owner": owner, "status": status}


def hardware(call: Call) -> Answer:
    return json_answer([{**each, "ephemeralStorage": "20 GB", "accelerator": None, **PRICE} for each in HARDWARE])


def run(call: Call, namespace: str) -> Answer:
    check_namespace(call, namespace)
    spec = call.json()
    if spec["flavor"] not in {each["name"] for each in HARDWARE}:
        raise RefusedError(400, f"there is no flavor {spec['flavor']}")
    with call.hub.lock:
        job = HubJob(f"job{len(call.hub.jobs) + 1}", namespace, spec, spec.pop("secrets", {}))
        call.hub.jobs[job.number] = job
    return json_answer(job.seen())


def listed(call: Call, namespace: str) -> Answer:
    user = signed_in(call)
    wanted = dict(label.split("=", 1) for label in call.query.get("label", []))
    own = [job for job in call.hub.jobs.values() if job.namespace == namespace and namespace in user.namespaces]
    return json_answer([job.seen() for job in own if wanted.items() <= job.spec.get("labels", {}).items()])


def job_of(call: Call, namespace: str, job_id: str) -> HubJob:
    user, job = signed_in(call), call.hub.jobs.get(job_id)
    if job is None or job.namespace != namespace or namespace not in user.namespaces:
        raise RefusedError(404, "Job not found")
    return job


def inspect(call: Call, namespace: str, job_id: str) -> Answer:
    return json_answer(job_of(call, namespace, job_id).seen())


def cancel(call: Call, namespace: str, job_id: str) -> Answer:
    job_of(call, namespace, job_id).stage = "CANCELED"
    return json_answer({})
