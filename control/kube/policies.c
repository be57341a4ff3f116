#include "control/kube/policies.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/json/json_put.h"
#include "base/kube/kube_status.h"
#include "base/kube/kube_watch.h"
#include "control/kube/policy_advice.h"
#include "control/kube/policy_listing.h"
#include "control/kube/policy_status.h"
#include <stdio.h>
#include <string.h>

enum {
	APPLY_MS = 20,   /* changes within this time are applied together */
	FIRST_MS = 500,  /* after a change: sidecars have confirmed it */
	TICK_MS = 5000,  /* else */
	AGAIN_MS = 5000, /* between two writes of one status */
	WRITES_MAX = 8,  /* at the same time: the API server has others to serve */
	WRITE_TIMEOUT_MS = 10000,
	STATUS_MAX = 256 * 1024,
	PEERS_MAX = 16,
	ANSWER_MAX = 2 * 1024 * 1024, /* the object, with its status */
};

#define GROUP "/apis/handfast.dev/v1alpha1"

struct peer { /* another replica, looked up once per tick */
	char name[64];
	bool is_there;
};

struct kube_policies {
	struct kube_policies_options options;
	struct policy_set set;
	struct kube_watch *watch;
	bool is_known, has_synced;
	struct why trouble;       /* of the watch */
	struct why left_out;      /* the last object that is not kept */
	struct why write_trouble; /* of the last status */
	struct loop_timer apply, tick;
	uint64_t counted; /* distributor_policy_marks() then */
	bool must_write;  /* statuses may be untrue */
	unsigned num_writes;
	struct peer peers[PEERS_MAX];
	size_t num_peers;
};

struct write { /* of a status; freed with its answer */
	struct kube_policies *policies;
	struct policy_entry *entry;
	struct kube_request *request;
	char *path;
};

/* --- what applies --- */

static bool is_known(void *arg)
{
	const struct kube_policies *policies = arg;
	return policies->is_known;
}

/* After the end: a sidecar must not get a policy without what is here. */
static bool is_never_known(void *arg)
{
	(void)arg;
	return false;
}

bool kube_policies_are_known(const struct kube_policies *policies)
{
	return policies->is_known;
}

static void find(void *arg, const struct spiffe_id *id, struct policy_found *out)
{
	struct kube_policies *policies = arg;
	policy_set_find(&policies->set, id, out);
}

static void list(void *arg, policy_listed_fn *each, void *each_arg)
{
	const struct kube_policies *policies = arg;
	policy_listing_each(&policies->set, each, each_arg);
}

static void warn(void *arg, policy_warned_fn *each, void *each_arg)
{
	struct kube_policies *policies = arg;
	policy_listing_warnings(&policies->set, distributor_config(policies->options.distributor), each, each_arg);
}

static void on_tick(struct loop_timer *timer);

static void on_apply(struct loop_timer *timer)
{
	struct kube_policies *policies = container_of(timer, struct kube_policies, apply);
	distributor_policies_changed(policies->options.distributor, policy_set_concerns, &policies->set);
	policy_set_settle(&policies->set);
	policies->must_write = true;
	loop_timer_start(policies->options.loop, &policies->tick, FIRST_MS, on_tick);
}

static void apply_soon(struct kube_policies *policies)
{
	policies->must_write = true;
	if (policies->is_known && !loop_timer_is_armed(&policies->apply))
		loop_timer_start(policies->options.loop, &policies->apply, APPLY_MS, on_apply);
}

static void now_known(struct kube_policies *policies)
{
	if (policies->is_known)
		return;
	policies->is_known = true;
	apply_soon(policies);
}

/* --- what the watch reports --- */

static void on_begin(void *arg)
{
	struct kube_policies *policies = arg;
	policies->left_out = (struct why){0};
	policy_set_begin(&policies->set);
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct kube_policies *policies = arg;
	struct why why = {0};
	switch (event) {
	case KUBE_PUT:
		if (policy_set_put(&policies->set, object, &why) != ERR_NONE) {
			if (policies->left_out.err == ERR_NONE)
				log_why(LOG_LEVEL_WARNING, "kube", "a policy is left out", &why);
			policies->left_out = why;
		}
		break;
	case KUBE_DELETED:
		policy_set_deleted(&policies->set, object);
		break;
	}
	policies->must_write = true;
	if (policy_set_has_changed(&policies->set))
		apply_soon(policies);
}

static void on_synced(void *arg)
{
	struct kube_policies *policies = arg;
	policy_set_synced(&policies->set);
	if (!policies->has_synced)
		log_notice("kube", "the policies of the cluster have been received: %zu", policies->set.num);
	policies->has_synced = true;
	now_known(policies);
	if (policy_set_has_changed(&policies->set))
		apply_soon(policies);
}

static void on_trouble(void *arg, const struct why *why)
{
	struct kube_policies *policies = arg;
	bool had_trouble = policies->trouble.err != ERR_NONE;
	policies->trouble = why == NULL ? (struct why){0} : *why;
	if (why != NULL && !had_trouble)
		log_why(LOG_LEVEL_WARNING, "kube", "the policies of the cluster may be old", why);
	if (why == NULL && had_trouble)
		log_notice("kube", "the watch of policies works again");
	if (why != NULL && why->err == ERR_NOT_FOUND) /* no definition, so no object */
		now_known(policies);
}

/* --- status --- */

static void write_free(struct write *write)
{
	CHECK(write->policies->num_writes > 0);
	write->policies->num_writes--;
	mem_free(write->path);
	mem_free(write);
}

static void on_gone(void *arg, struct policy_entry *entry)
{
	(void)arg;
	struct write *write = entry->write;
	entry->write = NULL;
	if (write == NULL)
		return;
	kube_request_cancel(write->request);
	write_free(write);
}

static void on_written(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct write *write = arg;
	struct kube_policies *policies = write->policies;
	struct why trouble = {0};
	write->entry->write = NULL;
	if (err != ERR_NONE)
		trouble = *why;
	else if (response->status != 200 && response->status != 404) /* 404: it was deleted */
		(void)kube_status_explain(response->status, response->body, write->path, "\"patch\"", &trouble);
	if (trouble.err != ERR_NONE && policies->write_trouble.err == ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "kube", "the status of a policy cannot be written", &trouble);
	policies->write_trouble = trouble;
	policies->must_write = policies->must_write || trouble.err != ERR_NONE;
	write_free(write);
}

static void write_start(struct kube_policies *policies, struct policy_entry *entry, const json_t *patch)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(STATUS_MAX);
	if (buf_append_json(&text, patch, JSON_COMPACT) != ERR_NONE) { /* someone else's text is in it */
		log_warning("kube", "the status of the policy %s/%s would be too large", entry->namespace_->name,
			entry->name);
		entry->written_ms = loop_now_ms(policies->options.loop);
		return;
	}
	struct write *write = mem_new(struct write);
	*write = (struct write){.policies = policies,
		.entry = entry,
		.path = mem_printf(GROUP "/namespaces/%s/policies/%s/status", entry->namespace_->name, entry->name)};
	const struct kube_request_options options = {.method = "PATCH",
		.path = write->path,
		.content_type = "application/merge-patch+json",
		.body = buf_span(&text),
		.timeout_ms = WRITE_TIMEOUT_MS,
		.response_max = ANSWER_MAX};
	entry->write = write;
	entry->written_ms = loop_now_ms(policies->options.loop);
	policies->num_writes++;
	write->request = kube_request_start(policies->options.client, &options, on_written, write);
}

static bool is_replica(void *arg, const char *name)
{
	struct kube_policies *policies = arg;
	for (size_t i = 0; i < policies->num_peers; i++)
		if (strcmp(policies->peers[i].name, name) == 0)
			return policies->peers[i].is_there;
	bool is_there = policies->options.is_replica(policies->options.arg, name);
	if (policies->num_peers == PEERS_MAX || strlen(name) >= sizeof(policies->peers[0].name))
		return is_there;
	struct peer *peer = &policies->peers[policies->num_peers++];
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	peer->is_there = is_there;
	return is_there;
}

/* True: it is to be looked at again. */
static bool entry_write(struct kube_policies *policies, struct policy_entry *entry)
{
	const struct policy_replicas replicas = {policies->options.replica, is_replica, policies};
	uint64_t now_ms = loop_now_ms(policies->options.loop);
	policy_advice_refresh(entry, distributor_config(policies->options.distributor));
	json_t *patch = policy_status_patch(entry, &replicas);
	if (patch == NULL)
		return false;
	bool may_write = entry->write == NULL && policies->num_writes < WRITES_MAX &&
			 (entry->written_ms == 0 || now_ms - entry->written_ms >= AGAIN_MS);
	if (may_write)
		write_start(policies, entry, patch);
	json_decref(patch);
	return true;
}

static void count(struct kube_policies *policies)
{
	LIST_EACH(&policies->set.entries, struct policy_entry, entry, of_set)
		entry->counts = (struct policy_counts){0};
	policies->counted = distributor_policy_marks(policies->options.distributor);
	distributor_each_sidecar(policies->options.distributor, policy_set_count, &policies->set);
}

/* Not while what the API server has is not known, nor before the last change was sent. */
static bool may_write(const struct kube_policies *policies)
{
	return policies->has_synced && policies->trouble.err == ERR_NONE && !policy_set_has_changed(&policies->set) &&
	       policies->set.num > 0;
}

static void on_tick(struct loop_timer *timer)
{
	struct kube_policies *policies = container_of(timer, struct kube_policies, tick);
	bool is_due =
		policies->must_write || policies->counted != distributor_policy_marks(policies->options.distributor);
	if (is_due && may_write(policies)) {
		count(policies);
		policies->num_peers = 0;
		policies->must_write = false;
		LIST_EACH(&policies->set.entries, struct policy_entry, entry, of_set)
			if (entry_write(policies, entry))
				policies->must_write = true;
	}
	loop_timer_start(
		policies->options.loop, &policies->tick, policies->num_writes > 0 ? FIRST_MS : TICK_MS, on_tick);
}

/* --- conditions --- */

static void refused_condition(const struct kube_policies *policies, kube_condition_fn *each, void *arg)
{
	const struct policy_entry *example = NULL;
	struct why why = {0};
	size_t num = 0;
	LIST_EACH(&policies->set.entries, struct policy_entry, entry, of_set)
		if (entry->refusal.err != ERR_NONE || !entry->is_in_force) {
			example = entry;
			num++;
		}
	if (num == 0)
		return;
	(void)why_set(&why, ERR_MALFORMED, "policies that are accepted",
		"read their status: `kubectl get policies.handfast.dev -A -o wide`",
		"%zu policies are not accepted, such as %s/%.80s", num, example->namespace_->name, example->name);
	each(arg, "kube_policies", &why);
}

void kube_policies_each_condition(const struct kube_policies *policies, kube_condition_fn *each, void *arg)
{
	if (policies->trouble.err != ERR_NONE)
		each(arg, "kube_watch", &policies->trouble);
	refused_condition(policies, each, arg);
	if (policies->left_out.err != ERR_NONE)
		each(arg, "kube_policies", &policies->left_out);
	if (policies->write_trouble.err != ERR_NONE)
		each(arg, "kube_policy_status", &policies->write_trouble);
}

/* --- life --- */

struct kube_policies *kube_policies_start(const struct kube_policies_options *options)
{
	struct kube_policies *policies = mem_new(struct kube_policies);
	const struct kube_watch_options watch = {.path = GROUP "/policies"};
	const struct kube_watch_observer observer = {on_begin, on_object, on_synced, on_trouble, policies};
	const struct policy_source source = {is_known, find, list, warn, policies};
	CHECK(options->replica != NULL && options->is_replica != NULL);
	policies->options = *options;
	policy_set_init(&policies->set, options->trust_domain, on_gone, policies);
	distributor_set_policies(options->distributor, &source);
	policies->watch = kube_watch_start(options->client, &watch, &observer);
	loop_timer_start(options->loop, &policies->tick, TICK_MS, on_tick);
	return policies;
}

void kube_policies_stop(struct kube_policies *policies)
{
	kube_watch_stop(policies->watch);
	distributor_set_policies(policies->options.distributor, &(struct policy_source){.is_known = is_never_known});
	loop_timer_stop(&policies->apply);
	loop_timer_stop(&policies->tick);
	policy_set_done(&policies->set);
	CHECK(policies->num_writes == 0);
	mem_free(policies);
}
