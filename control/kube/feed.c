#include "control/kube/feed.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/kube/kube_watch.h"

enum {
	PASS_MS = 1000,       /* addresses that are held or gone */
	SWEEP_MS = 10000,     /* pods without a sidecar, refusals */
	REFUSED_MS = 3600000, /* for how long an object that could not be used is a condition */
};

struct feed_watch {
	struct kube_feed *feed;
	enum kube_kind kind;
	struct kube_watch *watch;
	bool has_synced;
	struct why trouble;   /* err ERR_NONE: none */
	struct why refusal;   /* of the last object that could not be used */
	uint64_t num_refused; /* since the last sweep: the log gets one line for all */
	uint64_t refused_at_ms;
};

struct kube_feed {
	struct loop *loop;
	struct kube_view *view;
	struct feed_watch watches[NUM_KUBE_KINDS];
	struct loop_timer pass, sweep;
	struct kube_unmeshed unmeshed;
};

static const struct {
	const char *path, *name;
} kinds[NUM_KUBE_KINDS] = {
	[KUBE_PODS] = {"/api/v1/pods", "pods"},
	[KUBE_SERVICES] = {"/api/v1/services", "Services"},
	[KUBE_SLICES] = {"/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlices"},
	[KUBE_NAMESPACES] = {"/api/v1/namespaces", "namespaces"},
};

/* --- what the watches report --- */

static void on_begin(void *arg)
{
	const struct feed_watch *watch = arg;
	kube_view_begin(watch->feed->view, watch->kind);
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct feed_watch *watch = arg;
	struct why why = {0};
	enum err err = ERR_NONE;
	switch (event) {
	case KUBE_PUT:
		err = kube_view_put(watch->feed->view, watch->kind, object, &why);
		break;
	case KUBE_DELETED:
		err = kube_view_deleted(watch->feed->view, watch->kind, object, &why);
		break;
	}
	if (err == ERR_NONE)
		return;
	watch->refusal = why;
	watch->refused_at_ms = loop_now_ms(watch->feed->loop);
	watch->num_refused++;
}

static void on_synced(void *arg)
{
	struct feed_watch *watch = arg;
	if (!watch->has_synced)
		log_notice("kube", "the %s of the cluster have been received", kinds[watch->kind].name);
	watch->has_synced = true;
	kube_view_synced(watch->feed->view, watch->kind);
}

static unsigned num_in_trouble(const struct kube_feed *feed)
{
	unsigned num = 0;
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		num += feed->watches[kind].trouble.err != ERR_NONE;
	return num;
}

/* Namespaces play no part in answers. */
static void update_stale(struct kube_feed *feed)
{
	bool is_stale = false;
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		is_stale = is_stale || (kind != KUBE_NAMESPACES && feed->watches[kind].trouble.err != ERR_NONE);
	kube_view_set_stale(feed->view, is_stale);
}

static void on_trouble(void *arg, const struct why *why)
{
	struct feed_watch *watch = arg;
	unsigned num_before = num_in_trouble(watch->feed);
	watch->trouble = why == NULL ? (struct why){0} : *why;
	unsigned num_now = num_in_trouble(watch->feed);
	if (num_before == 0 && num_now > 0)
		log_why(LOG_LEVEL_WARNING, "kube", "the state of the cluster may be old", why);
	if (num_before > 0 && num_now == 0)
		log_notice("kube", "the state of the cluster is up to date again");
	update_stale(watch->feed);
}

/* --- conditions --- */

static bool is_recent(const struct kube_feed *feed, const struct feed_watch *watch)
{
	return watch->refusal.err != ERR_NONE && loop_now_ms(feed->loop) - watch->refused_at_ms < REFUSED_MS;
}

/* Another watch has the same trouble and has reported it: they share a connection. */
static bool is_reported(const struct kube_feed *feed, enum kube_kind kind)
{
	for (enum kube_kind other = 0; other < kind; other++)
		if (strcmp(feed->watches[other].trouble.got, feed->watches[kind].trouble.got) == 0)
			return true;
	return false;
}

void kube_feed_each_condition(const struct kube_feed *feed, kube_condition_fn *each, void *arg)
{
	struct why why = {0};
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++) {
		const struct feed_watch *watch = &feed->watches[kind];
		if (watch->trouble.err != ERR_NONE && !is_reported(feed, kind))
			each(arg, "kube_watch", &watch->trouble);
		if (is_recent(feed, watch))
			each(arg, "kube_objects", &watch->refusal);
	}
	if (feed->unmeshed.num == 0)
		return;
	(void)why_set(&why, ERR_NOT_FOUND, "a sidecar in every pod of a namespace with handfast.dev/inject=enabled",
		"restart their workloads (`kubectl rollout restart`), or label the pods handfast.dev/inject=disabled",
		"pods without a sidecar: %zu, such as %s", feed->unmeshed.num, feed->unmeshed.example);
	each(arg, "kube_pods_without_sidecar", &why);
}

static void log_refusals(struct feed_watch *watch)
{
	char text[128];
	if (watch->num_refused == 0)
		return;
	snprintf(text, sizeof(text), "%llu of the %s that came in are left out, the last one because",
		(unsigned long long)watch->num_refused, kinds[watch->kind].name);
	log_why(LOG_LEVEL_WARNING, "kube", text, &watch->refusal);
	watch->num_refused = 0;
}

static void on_pass(struct loop_timer *timer)
{
	struct kube_feed *feed = container_of(timer, struct kube_feed, pass);
	kube_view_pass(feed->view, loop_now_ms(feed->loop));
	loop_timer_start(feed->loop, &feed->pass, PASS_MS, on_pass);
}

static void on_sweep(struct loop_timer *timer)
{
	struct kube_feed *feed = container_of(timer, struct kube_feed, sweep);
	kube_view_unmeshed(feed->view, &feed->unmeshed);
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		log_refusals(&feed->watches[kind]);
	loop_timer_start(feed->loop, &feed->sweep, SWEEP_MS, on_sweep);
}

/* --- life --- */

bool kube_feed_has_synced(const struct kube_feed *feed)
{
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		if (!feed->watches[kind].has_synced)
			return false;
	return true;
}

struct kube_feed *kube_feed_start(struct loop *loop, struct kube_client *client, struct kube_view *view)
{
	struct kube_feed *feed = mem_new(struct kube_feed);
	feed->loop = loop;
	feed->view = view;
	kube_view_pass(view, loop_now_ms(loop));
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++) {
		struct feed_watch *watch = &feed->watches[kind];
		const struct kube_watch_options options = {.path = kinds[kind].path};
		const struct kube_watch_observer observer = {
			.on_begin = on_begin,
			.on_object = on_object,
			.on_synced = on_synced,
			.on_trouble = on_trouble,
			.arg = watch,
		};
		watch->feed = feed;
		watch->kind = kind;
		watch->watch = kube_watch_start(client, &options, &observer);
	}
	loop_timer_start(loop, &feed->pass, PASS_MS, on_pass);
	loop_timer_start(loop, &feed->sweep, SWEEP_MS, on_sweep);
	return feed;
}

void kube_feed_stop(struct kube_feed *feed)
{
	if (feed == NULL)
		return;
	loop_timer_stop(&feed->pass);
	loop_timer_stop(&feed->sweep);
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_watch_stop(feed->watches[kind].watch);
	mem_free(feed);
}
