#include "sidecar/worker_mail.h"

#include "base/core/mem.h"

static void on_deliver(struct loop_mail *mail)
{
	struct worker_mail *for_worker = container_of(mail, struct worker_mail, mail);
	for_worker->on_deliver(for_worker, for_worker->worker);
}

void worker_mail_send(struct worker *worker, struct worker_mail *mail, worker_mail_fn *deliver)
{
	mail->worker = worker;
	mail->on_deliver = deliver;
	loop_mail_send(worker_loop(worker), &mail->mail, on_deliver);
}

/* A snapshot on its way: one referenced pointer, or a value. */
struct snapshot_mail {
	struct worker_mail mail;
	void *snapshot;
	struct trusted_time time;
	bool flag;
};

static void snapshot_send(struct worker *worker, void *snapshot, worker_mail_fn *deliver)
{
	struct snapshot_mail *mail = mem_new(struct snapshot_mail);
	mail->snapshot = snapshot;
	worker_mail_send(worker, &mail->mail, deliver);
}

static void *snapshot_take(struct worker_mail *mail)
{
	struct snapshot_mail *carrier = container_of(mail, struct snapshot_mail, mail);
	void *snapshot = carrier->snapshot;
	mem_free(carrier);
	return snapshot;
}

static void deliver_credentials(struct worker_mail *mail, struct worker *worker)
{
	struct view *view = worker_view(worker);
	struct credentials *old = view->credentials;
	view->credentials = snapshot_take(mail);
	/* The old one goes last: never without credentials while there are some. */
	worker_credentials_changed(worker);
	credentials_unref(old);
}

void worker_set_credentials(struct worker *worker, struct credentials *credentials)
{
	snapshot_send(worker, credentials == NULL ? NULL : credentials_ref(credentials), deliver_credentials);
}

static void deliver_policy(struct worker_mail *mail, struct worker *worker)
{
	struct view *view = worker_view(worker);
	struct policy *old = view->policy;
	view->policy = snapshot_take(mail);
	worker_view_changed(worker);
	policy_unref(old);
}

void worker_set_policy(struct worker *worker, struct policy *policy)
{
	snapshot_send(worker, policy_ref(policy), deliver_policy);
}

static void deliver_networks(struct worker_mail *mail, struct worker *worker)
{
	struct view *view = worker_view(worker);
	struct mesh_networks *old = view->networks;
	view->networks = snapshot_take(mail);
	worker_view_changed(worker);
	mesh_networks_unref(old);
}

void worker_set_networks(struct worker *worker, struct mesh_networks *networks)
{
	snapshot_send(worker, mesh_networks_ref(networks), deliver_networks);
}

static void deliver_answer(struct worker_mail *mail, struct worker *worker)
{
	struct answer *answer = snapshot_take(mail);
	endpoint_table_put(worker_view(worker)->answers, answer);
	answer_unref(answer);
}

void worker_put_answer(struct worker *worker, struct answer *answer)
{
	snapshot_send(worker, answer_ref(answer), deliver_answer);
}

static void deliver_time(struct worker_mail *mail, struct worker *worker)
{
	worker_view(worker)->time = container_of(mail, struct snapshot_mail, mail)->time;
	(void)snapshot_take(mail);
}

void worker_set_time(struct worker *worker, const struct trusted_time *time)
{
	struct snapshot_mail *mail = mem_new(struct snapshot_mail);
	mail->time = *time;
	worker_mail_send(worker, &mail->mail, deliver_time);
}

static void deliver_live(struct worker_mail *mail, struct worker *worker)
{
	worker_view(worker)->discovery_is_live = container_of(mail, struct snapshot_mail, mail)->flag;
	(void)snapshot_take(mail);
}

void worker_set_discovery_live(struct worker *worker, bool is_live)
{
	struct snapshot_mail *mail = mem_new(struct snapshot_mail);
	mail->flag = is_live;
	worker_mail_send(worker, &mail->mail, deliver_live);
}

static void deliver_drain(struct worker_mail *mail, struct worker *worker)
{
	mem_free(mail);
	worker_tunnels_drain(worker);
}

void worker_drain(struct worker *worker)
{
	worker_mail_send(worker, mem_new(struct worker_mail), deliver_drain);
}

struct look_mail {
	struct worker_mail mail;
	struct loop_mail back;
	worker_look_fn *look;
	struct loop *reply_to;
	worker_looked_fn *on_looked;
	void *arg;
};

static void deliver_back(struct loop_mail *mail)
{
	struct look_mail *look = container_of(mail, struct look_mail, back);
	look->on_looked(look->arg);
	mem_free(look);
}

static void deliver_look(struct worker_mail *mail, struct worker *worker)
{
	struct look_mail *look = container_of(mail, struct look_mail, mail);
	struct worker_inside inside = worker_insides(worker);
	look->look(look->arg, &inside);
	loop_mail_send(look->reply_to, &look->back, deliver_back);
}

void worker_look(
	struct worker *worker, worker_look_fn *look, struct loop *reply_to, worker_looked_fn *on_looked, void *arg)
{
	struct look_mail *mail = mem_new(struct look_mail);
	mail->look = look;
	mail->reply_to = reply_to;
	mail->on_looked = on_looked;
	mail->arg = arg;
	worker_mail_send(worker, &mail->mail, deliver_look);
}
