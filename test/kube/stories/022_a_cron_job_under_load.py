"""Pods of a CronJob end with their work, one after the other and at its schedule, beside a load that loses no call.

    shop: 20 calls per second -> Service store -> store, 2 pods <- tick (CronJob): 8 runs by hand and one by its schedule"""

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import shop, workloads
from kube_cluster.http_load import HttpLoad
from kube_cluster.kubectl import statuses

DEADLINE_S = 480
SPACE = "ticks"
RUNS = 8


def arrange(story):
    shop.arrange(story, SPACE)
    call = "for i in 1 2 3 4 5; do curl -sSf --max-time 10 http://%s/ || exit 1; done" % story.address
    template = workloads.job("tick", workloads.app_container("work", ("sh", "-c", call)), account="shop")["spec"]
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"},
            "spec": {"schedule": "* * * * *", "concurrencyPolicy": "Allow", "jobTemplate": {"spec": template},
                     "successfulJobsHistoryLimit": 20}}
    story.kubectl.apply(cron, namespace=SPACE)


def _scheduled(story):
    """Jobs that the CronJob controller has made."""
    return [job for job in story.kubectl.get("jobs", namespace=SPACE)
            if "batch.kubernetes.io/cronjob-scheduled-timestamp" in job["metadata"].get("annotations", {})]


def shows_that_each_run_ends_and_no_call_fails(story):
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        for number in range(RUNS):
            story.kubectl("-n", SPACE, "create", "job", "run-%d" % number, "--from=cronjob/tick")
        for number in range(RUNS):
            story.kubectl.wait_for_job("run-%d" % number, SPACE)
        job = story.kubectl.wait("a run by the schedule", lambda: _scheduled(story))[0]["metadata"]["name"]
        story.kubectl.wait_for_job(job, SPACE)
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
    print("      %d runs beside %d calls, 0 failed" % (RUNS + 1, load.num_requests))


def shows_that_nothing_of_a_run_stays(story):
    for pod in story.kubectl.pods(namespace=SPACE):
        if "job-name" not in pod["metadata"]["labels"]:
            continue
        inits = [one["name"] for one in pod["spec"].get("initContainers", [])]  # a run that begins now has no statuses yet
        expect("handfast" in inits, "%s has no sidecar: %s" % (pod["metadata"]["name"], inits))
        states = {name: one["state"] for name, one in statuses(pod).items()}
        running = [name for name, state in states.items() if "terminated" not in state]
        expect(pod["status"]["phase"] != "Succeeded" or not running, "%s still runs %s" % (pod["metadata"]["name"], running))
    one, = story.kubectl.pods("job-name=run-0", SPACE)
    expect_eq(statuses(one)["handfast"]["state"]["terminated"]["exitCode"], 0, "exit code of the sidecar")
    answers = story.kubectl.logs(one["metadata"]["name"], "work", SPACE)
    expect_eq(answers.count("hello-in-plaintext"), 5, "answers of a run")
    expect_in("from store-", answers, "who answered")
    story.kubectl.delete_namespace(SPACE)
