"""What is measured, in the order of a mesh's life: enrollment, rest, changes, crash, renewal, outage."""

import time

from .herds import part
from .plane import Bystander, now_ms

REST_S = 10
PUSHES = 3
DEADLINE_S = 300


def spread(ms):
    return {"p50": part(ms, 0.5), "p99": part(ms, 0.99), "max": ms[-1]} if ms else None


def settle(plane):
    """Until the control plane rests: what enrollment leaves behind has been sent."""
    quiet = 0
    for _ in range(120):
        before = plane.cpu_s()
        time.sleep(0.5)  # duration: a sample of the load
        quiet = quiet + 1 if plane.cpu_s() - before < 0.25 else 0
        if quiet == 3:
            return


def enroll(plane, herds):
    resident, before = plane.resident_kb(), plane.parts_s()
    herd_before = herds.cpu_s()
    with Bystander() as bystander:
        since = now_ms()
        herds.start(since, "svid", "back", "answers")
        svid, back = herds.await_all("svid", DEADLINE_S), herds.await_all("back", DEADLINE_S)
        answers = herds.await_all("answers", DEADLINE_S)
    network, signer = (after - at for after, at in zip(plane.parts_s(), before))
    result = {"enroll_svid_ms": spread(svid), "enroll_back_ms": spread(back), "enroll_answers_ms": spread(answers),
              "enroll_cpu_ms": 1000 * network / herds.num, "enroll_signer_cpu_ms": 1000 * signer / herds.num,
              "enroll_herd_cpu_ms": 1000 * (herds.cpu_s() - herd_before) / herds.num,
              "enroll_failed_tries": herds.total("failed_tries"), "enroll_others_ms": bystander.worst_ms()}
    settle(plane)
    result["settled_cpu_ms"] = 1000 * (sum(plane.parts_s()) - sum(before)) / herds.num
    result["claims"] = herds.num_claims()
    result["resident_kb"] = (plane.resident_kb() - resident) / herds.num
    return result


def rest(plane, herds):
    before = plane.cpu_s()
    time.sleep(REST_S)  # duration: what is measured
    return {"rest_cpu_percent": 100 * (plane.cpu_s() - before) / REST_S}


def push(plane, herds):
    times, cpu = [], plane.cpu_s()
    for _ in range(PUSHES):
        herds.since("mesh", now_ms())
        since = plane.new_policy()
        herds.since("mesh", since)
        times.append(spread(herds.await_all("mesh", DEADLINE_S)))
        settle(plane)
    times.sort(key=lambda one: one["max"])
    return {"push_ms": times[len(times) // 2], "push_cpu_us": 1e6 * (plane.cpu_s() - cpu) / PUSHES / herds.num}


def ban(plane, herds):
    since = now_ms()
    herds.since("trust", since)
    plane.operate("ban", "spiffe://cluster.local/none/of/these")
    banned = herds.await_all("trust", DEADLINE_S)
    return {"ban_ms": spread(banned)}


def reconnect(plane, herds):
    """The processor's time of the control plane per connection that is dialed anew, with all its subscriptions."""
    each = max(1, min(200, herds.num // len(herds.herds) // 2))
    since, cpu = time.monotonic(), plane.cpu_s()
    herds.cut(each)
    time.sleep(4)  # duration: sidecars dial again within a second
    busy, took = plane.cpu_s() - cpu, time.monotonic() - since
    cpu = plane.cpu_s()
    time.sleep(took)  # duration: the same without them
    idle = plane.cpu_s() - cpu
    return {"reconnect_cpu_ms": 1000 * (busy - idle) / (each * len(herds.herds))}


def crash(plane, herds):
    herds.since("back", now_ms())
    plane.kill()
    since = now_ms()
    herds.since("back", since)
    with Bystander() as bystander:
        plane.start()
        listens = now_ms()
        back = herds.await_all("back", DEADLINE_S)
    cpu = plane.parts_s()
    return {"crash_listens_ms": listens - since, "crash_back_ms": spread(back),
            "crash_cpu_ms": 1000 * sum(cpu) / herds.num, "crash_others_ms": bystander.worst_ms()}


def renewals(plane, herds, until):
    """The first renewals after an enrollment of all at once, which is when they coincide the most."""
    from_ms, cpu, count = now_ms(), plane.cpu_s(), herds.total("issued")
    time.sleep(max(0.0, until - time.monotonic()))  # duration: what is measured
    num = herds.total("issued") - count
    seconds = [one for one in herds.issued_per_second(from_ms, now_ms()) if one > 0]
    return {"renewals": num, "renewals_per_s": sorted(seconds), "renewal_cpu_ms": 1000 * (plane.cpu_s() - cpu) / max(1, num)}


def outage(plane, herds, outage_s):
    """The control plane is away; with a certificate's life below that time, all have ended when it is back."""
    plane.kill()
    time.sleep(outage_s)  # duration: the outage
    failed, valid = herds.total("failed_tries"), herds.total("svids")
    since = now_ms()
    herds.since("svid", since)
    herds.since("back", since)
    with Bystander() as bystander:
        plane.start()
        svid, back = herds.await_all("svid", DEADLINE_S), herds.await_all("back", DEADLINE_S)
    metrics = plane.metrics()
    return {"outage_s": outage_s, "outage_valid_at_the_end": valid, "outage_renewed_ms": spread(svid),
            "outage_back_ms": spread(back), "outage_failed_tries": herds.total("failed_tries") - failed,
            "outage_cpu_ms": 1000 * plane.cpu_s() / herds.num, "outage_others_ms": bystander.worst_ms(),
            "outage_deferred": metrics.get('handfast_control_attestations_total{result="deferred"}'),
            "outage_closed_before_a_handshake": metrics.get("handfast_control_connections_deferred_total")}
