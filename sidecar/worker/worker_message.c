#include "sidecar/worker/worker_message.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "sidecar/worker/worker_listeners.h"

static void on_deliver(struct loop_message *message)
{
	struct worker_message *for_worker = container_of(message, struct worker_message, message);
	CHECK(for_worker->worker != NULL && for_worker->on_deliver != NULL);
	for_worker->on_deliver(for_worker, for_worker->worker);
}

void worker_post(struct worker *worker, struct worker_message *message, worker_message_fn *deliver)
{
	CHECK(message->worker == NULL); /* a message is posted once */
	message->worker = worker;
	message->on_deliver = deliver;
	loop_post(worker_loop(worker), &message->message, on_deliver);
}

/* A posted part of the worker snapshot: one referenced pointer, or a value. */
struct snapshot_message {
	struct worker_message message;
	void *snapshot;
	struct trusted_time time;
	enum outbound_mode outbound_mode;
};

static void snapshot_send(struct worker *worker, void *snapshot, worker_message_fn *deliver)
{
	struct snapshot_message *message = mem_new(struct snapshot_message);
	message->snapshot = snapshot;
	worker_post(worker, &message->message, deliver);
}

static void *snapshot_take(struct worker_message *message)
{
	struct snapshot_message *carrier = container_of(message, struct snapshot_message, message);
	void *snapshot = carrier->snapshot;
	mem_free(carrier);
	return snapshot;
}

static void deliver_credentials(struct worker_message *message, struct worker *worker)
{
	struct worker_snapshot *snapshot = worker_snapshot(worker);
	struct credentials *old = snapshot->credentials;
	snapshot->credentials = snapshot_take(message);
	/* The old credentials are released last, so that tunnels always have some. */
	worker_credentials_changed(worker);
	credentials_unref(old);
}

void worker_set_credentials(struct worker *worker, struct credentials *credentials)
{
	snapshot_send(worker, credentials == NULL ? NULL : credentials_ref(credentials), deliver_credentials);
}

static void deliver_policy(struct worker_message *message, struct worker *worker)
{
	struct worker_snapshot *snapshot = worker_snapshot(worker);
	struct policy *old = snapshot->policy;
	snapshot->policy = snapshot_take(message);
	worker_snapshot_changed(worker);
	policy_unref(old);
}

void worker_set_policy(struct worker *worker, struct policy *policy)
{
	snapshot_send(worker, policy_ref(policy), deliver_policy);
}

static void deliver_networks(struct worker_message *message, struct worker *worker)
{
	struct worker_snapshot *snapshot = worker_snapshot(worker);
	struct mesh_networks *old = snapshot->networks;
	snapshot->networks = snapshot_take(message);
	worker_snapshot_changed(worker);
	mesh_networks_unref(old);
}

void worker_set_networks(struct worker *worker, struct mesh_networks *networks)
{
	snapshot_send(worker, mesh_networks_ref(networks), deliver_networks);
}

static void deliver_outbound_mode(struct worker_message *message, struct worker *worker)
{
	worker_snapshot(worker)->outbound_mode = container_of(message, struct snapshot_message, message)->outbound_mode;
	(void)snapshot_take(message);
	worker_snapshot_changed(worker);
}

void worker_set_outbound_mode(struct worker *worker, enum outbound_mode mode)
{
	struct snapshot_message *message = mem_new(struct snapshot_message);
	message->outbound_mode = mode;
	worker_post(worker, &message->message, deliver_outbound_mode);
}

static void deliver_answer(struct worker_message *message, struct worker *worker)
{
	struct answer *answer = snapshot_take(message);
	endpoint_table_put(worker_snapshot(worker)->answers, answer);
	answer_unref(answer);
}

void worker_put_answer(struct worker *worker, struct answer *answer)
{
	snapshot_send(worker, answer_ref(answer), deliver_answer);
}

static void deliver_time(struct worker_message *message, struct worker *worker)
{
	worker_snapshot(worker)->time = container_of(message, struct snapshot_message, message)->time;
	(void)snapshot_take(message);
}

void worker_set_time(struct worker *worker, const struct trusted_time *time)
{
	struct snapshot_message *message = mem_new(struct snapshot_message);
	message->time = *time;
	worker_post(worker, &message->message, deliver_time);
}

static void deliver_drain(struct worker_message *message, struct worker *worker)
{
	mem_free(message);
	worker_tunnels_drain(worker);
}

void worker_drain(struct worker *worker)
{
	worker_post(worker, mem_new(struct worker_message), deliver_drain);
}

static void deliver_hold(struct worker_message *message, struct worker *worker)
{
	mem_free(message);
	worker_listeners_hold(worker_listeners(worker));
}

void worker_hold(struct worker *worker)
{
	worker_post(worker, mem_new(struct worker_message), deliver_hold);
}

static void deliver_resume(struct worker_message *message, struct worker *worker)
{
	mem_free(message);
	worker_listeners_start(worker_listeners(worker));
}

void worker_resume(struct worker *worker)
{
	worker_post(worker, mem_new(struct worker_message), deliver_resume);
}

static void deliver_hand_over(struct worker_message *message, struct worker *worker)
{
	mem_free(message);
	worker_listeners_close(worker_listeners(worker));
	worker_tunnels_drain(worker);
}

void worker_hand_over(struct worker *worker)
{
	worker_post(worker, mem_new(struct worker_message), deliver_hand_over);
}

struct inspect_message {
	struct worker_message message;
	struct loop_message back;
	worker_inspect_fn *inspect;
	struct loop *reply_to;
	worker_inspected_fn *on_inspected;
	void *arg;
};

static void deliver_back(struct loop_message *message)
{
	struct inspect_message *inspection = container_of(message, struct inspect_message, back);
	inspection->on_inspected(inspection->arg);
	mem_free(inspection);
}

static void deliver_inspection(struct worker_message *message, struct worker *worker)
{
	struct inspect_message *inspection = container_of(message, struct inspect_message, message);
	struct worker_inside inside = worker_insides(worker);
	inspection->inspect(inspection->arg, &inside);
	loop_post(inspection->reply_to, &inspection->back, deliver_back);
}

void worker_inspect(struct worker *worker, worker_inspect_fn *inspect, struct loop *reply_to,
	worker_inspected_fn *on_inspected, void *arg)
{
	CHECK(inspect != NULL && reply_to != NULL && on_inspected != NULL);
	struct inspect_message *message = mem_new(struct inspect_message);
	message->inspect = inspect;
	message->reply_to = reply_to;
	message->on_inspected = on_inspected;
	message->arg = arg;
	worker_post(worker, &message->message, deliver_inspection);
}
