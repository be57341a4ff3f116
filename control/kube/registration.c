#include "control/kube/registration.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/json/json_put.h"
#include "base/json/json_read.h"
#include "base/kube/kube_watch.h"
#include "control/kube/ca_bundle.h"
#include <string.h>

#define COLLECTION "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
#define ONE        COLLECTION "/" REGISTRATION_NAME

enum {
	PATCH_TIMEOUT_MS = 5000,
	PAUSE_LEAST_MS = 250, /* after a patch, until the next one; doubled */
	PAUSE_MOST_MS = 8000,
	QUIET_MS = 60000,        /* without a patch: the next one is not a part of a fight */
	RETRY_REFUSED_MS = 5000, /* rights or validation: a person has to act */
	EXPIRY_MS = 60000,       /* for authorities that have expired */
	PATCH_MAX = 1024 * 1024,
};

struct registration {
	struct registration_options options;
	struct kube_watch *watch;
	json_t *configuration; /* the newest that was seen; NULL: there is none */
	bool was_seen;         /* in this generation of the watch */
	bool is_done, was_done;
	struct kube_request *request; /* a patch under way; NULL: none */
	struct loop_timer timer;      /* a retry, or the next expiry */
	uint64_t sent_ms, pause_ms;   /* the last patch, and the pause after it; 0: none yet */
	struct why detail;
};

/* --- pure --- */

json_t *registration_patch(const json_t *configuration, const struct span *own, size_t num_own, int64_t now_s)
{
	const json_t *webhooks = json_object_get(configuration, "webhooks"), *webhook;
	const json_t *version = json_object_get(json_object_get(configuration, "metadata"), "resourceVersion");
	json_t *patch = NULL;
	size_t i;
	json_array_foreach(webhooks, i, webhook)
	{
		_cleanup_(buf_done) struct buf fresh = BUF_INIT(2u * CA_BUNDLE_TEXT_MAX);
		json_t *config = json_object_get(webhook, "clientConfig");
		const char *before = json_string_value(json_object_get(config, "caBundle"));
		if (!json_is_object(config) || !json_is_string(version) ||
			!ca_bundle_repair(span_of_str(before != NULL ? before : ""), own, num_own, now_s, &fresh))
			continue;
		if (patch == NULL)
			patch = json_pack("[{s:s, s:s, s:O}]", "op", "test", "path", "/metadata/resourceVersion",
				"value", version);
		CHECK(json_array_append_new(patch, json_pack("{s:s, s:o, s:s}", "op", "add", "path",
							   json_sprintf("/webhooks/%zu/clientConfig/caBundle", i),
							   "value", buf_cstr(&fresh))) == 0);
	}
	return patch;
}

/* --- the patch --- */

static void evaluate(struct registration *registration);

static void on_timer(struct loop_timer *timer)
{
	evaluate(container_of(timer, struct registration, timer));
}

static void again_in(struct registration *registration, uint64_t delay_ms)
{
	loop_timer_start(registration->options.loop, &registration->timer, delay_ms, on_timer);
}

static enum err explain(const struct kube_response *response, struct why *why)
{
	if (response->status == 403)
		return why_set(why, ERR_DENIED, "the right to patch mutatingwebhookconfigurations " REGISTRATION_NAME,
			"apply the install manifest again, which has the ClusterRole",
			"the API server does not let the control plane register its webhook");
	if (response->status == 404)
		return why_set(why, ERR_NOT_FOUND, "a MutatingWebhookConfiguration " REGISTRATION_NAME,
			"apply the install manifest again; until then pods start without a sidecar",
			"the webhook's registration is missing");
	return why_set(why, ERR_PROTOCOL, "status 200", "see the API server's log",
		"the API server answered the webhook's registration with status %u", response->status);
}

static bool is_ours(const json_t *object)
{
	const char *name = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
	return name != NULL && strcmp(name, REGISTRATION_NAME) == 0;
}

/* Whether `one` is older than `other`: resourceVersions of one kind are decimal numbers that grow. */
static bool is_older(const json_t *one, const json_t *other)
{
	const char *a = json_string_value(json_object_get(json_object_get(one, "metadata"), "resourceVersion"));
	const char *b = json_string_value(json_object_get(json_object_get(other, "metadata"), "resourceVersion"));
	if (a == NULL || b == NULL)
		return false;
	size_t len_a = strlen(a), len_b = strlen(b);
	if (strspn(a, "0123456789") != len_a || strspn(b, "0123456789") != len_b)
		return false;
	return len_a != len_b ? len_a < len_b : strcmp(a, b) < 0;
}

/* The watch and the answers to patches are two streams: what one brings may be older than what the other brought. In a
 * new generation the watch decides, also for an API server that was restored to an older state. */
static void keep(struct registration *registration, const json_t *object)
{
	if (registration->was_seen && is_older(object, registration->configuration))
		return;
	json_decref(registration->configuration);
	registration->configuration = json_incref((json_t *)(uintptr_t)object);
}

/* The answer is the object, so that the watch need not be waited for. */
static void take(struct registration *registration, struct span body)
{
	json_t *fresh = json_read(body, NULL);
	if (is_ours(fresh)) {
		keep(registration, fresh);
		evaluate(registration);
	} else {
		again_in(registration, RETRY_REFUSED_MS);
	}
	json_decref(fresh);
}

static void on_patched(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct registration *registration = arg;
	registration->request = NULL;
	if (err != ERR_NONE) {
		registration->detail = *why;
		again_in(registration, RETRY_REFUSED_MS);
	} else if (response->status == 200) {
		take(registration, response->body);
	} else if (response->status == 409 || response->status == 422) {
		evaluate(registration); /* changed meanwhile: another patch after the pause */
	} else {
		struct why detail = {0};
		(void)explain(response, &detail);
		log_why(LOG_LEVEL_ERROR, "webhook", "the webhook cannot be registered", &detail);
		registration->detail = detail;
		again_in(registration, RETRY_REFUSED_MS);
	}
}

/* How long the next patch has to wait. */
static uint64_t pause_left(const struct registration *registration, uint64_t now_ms)
{
	uint64_t from_ms = registration->sent_ms + registration->pause_ms;
	return from_ms > now_ms ? from_ms - now_ms : 0;
}

static void note_patch(struct registration *registration, uint64_t now_ms)
{
	uint64_t pause_ms = registration->pause_ms * 2;
	if (pause_ms == 0 || now_ms - registration->sent_ms > QUIET_MS)
		pause_ms = PAUSE_LEAST_MS;
	registration->pause_ms = pause_ms < PAUSE_MOST_MS ? pause_ms : PAUSE_MOST_MS;
	registration->sent_ms = now_ms;
}

static void send(struct registration *registration, const json_t *patch)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(PATCH_MAX);
	uint64_t now_ms = loop_now_ms(registration->options.loop);
	if (pause_left(registration, now_ms) > 0) {
		again_in(registration, pause_left(registration, now_ms));
		return;
	}
	if (buf_append_json(&text, patch, JSON_COMPACT) != ERR_NONE) {
		log_error("webhook", "the webhook cannot be registered: its configuration has too many webhooks");
		again_in(registration, RETRY_REFUSED_MS);
		return;
	}
	const struct kube_request_options options = {.method = "PATCH",
		.path = ONE,
		.content_type = "application/json-patch+json",
		.body = buf_span(&text),
		.timeout_ms = PATCH_TIMEOUT_MS,
		.response_max = PATCH_MAX};
	registration->request = kube_request_start(registration->options.client, &options, on_patched, registration);
	note_patch(registration, now_ms);
}

static void done(struct registration *registration)
{
	if (!registration->is_done)
		log_notice("webhook",
			registration->was_done ? "the webhook's caBundle is repaired" : "the webhook is registered");
	registration->is_done = registration->was_done = true;
	registration->detail = (struct why){0};
	webhook_identity_registered(registration->options.identity);
	again_in(registration, EXPIRY_MS);
}

/* Whether a certificate of `authority` is accepted for each of the webhooks. */
static bool is_trusted(const json_t *configuration, struct span authority)
{
	const json_t *webhooks = json_object_get(configuration, "webhooks"), *webhook;
	size_t i;
	json_array_foreach(webhooks, i, webhook)
	{
		const char *bundle =
			json_string_value(json_object_get(json_object_get(webhook, "clientConfig"), "caBundle"));
		if (bundle == NULL || !ca_bundle_has(span_of_str(bundle), authority))
			return false;
	}
	return json_array_size(webhooks) > 0;
}

static void evaluate(struct registration *registration)
{
	const struct clock *clock = loop_clock(registration->options.loop);
	struct span own[WEBHOOK_AUTHORITIES_MAX];
	size_t num_own = webhook_identity_authorities(registration->options.identity, own);
	if (registration->is_done && !is_trusted(registration->configuration, own[0])) {
		log_warning("webhook", "the webhook's caBundle was lost; it is being repaired");
		registration->is_done = false;
	}
	if (registration->request != NULL || registration->configuration == NULL)
		return; /* the answer, or the watch, comes back to it */
	json_t *patch = registration_patch(registration->configuration, own, num_own, clock->wall_ms(clock) / 1000);
	if (patch != NULL)
		send(registration, patch);
	else if (is_trusted(registration->configuration, own[0]))
		done(registration);
	else
		(void)why_set(&registration->detail, ERR_CONFIG, "a configuration with the webhook inject.handfast.dev",
			"apply the install manifest again", "the configuration " REGISTRATION_NAME " has no webhooks");
	json_decref(patch);
}

/* --- the watch --- */

static void on_begin(void *arg)
{
	((struct registration *)arg)->was_seen = false;
}

static void forget(struct registration *registration)
{
	const struct kube_response missing = {.status = 404};
	json_decref(TAKE_PTR(registration->configuration));
	if (registration->request != NULL) /* its answer would be a state of before */
		kube_request_cancel(TAKE_PTR(registration->request));
	(void)explain(&missing, &registration->detail);
	log_why(LOG_LEVEL_ERROR, "webhook", "the webhook is not registered", &registration->detail);
	registration->is_done = false;
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct registration *registration = arg;
	if (!is_ours(object))
		return; /* a server that ignores the selector */
	if (event == KUBE_DELETED) {
		forget(registration);
		return;
	}
	keep(registration, object);
	registration->was_seen = true;
	evaluate(registration);
}

static void on_synced(void *arg)
{
	struct registration *registration = arg;
	if (!registration->was_seen)
		forget(registration);
}

static void on_trouble(void *arg, const struct why *why)
{
	struct registration *registration = arg;
	if (why != NULL && !registration->is_done)
		registration->detail = *why;
}

/* --- the whole --- */

struct registration *registration_new(const struct registration_options *options)
{
	struct registration *registration = mem_new(struct registration);
	registration->options = *options;
	registration->watch = kube_watch_start(options->client,
		&(struct kube_watch_options){
			.path = COLLECTION, .query = "fieldSelector=metadata.name%3D" REGISTRATION_NAME},
		&(struct kube_watch_observer){.on_begin = on_begin,
			.on_object = on_object,
			.on_synced = on_synced,
			.on_trouble = on_trouble,
			.arg = registration});
	return registration;
}

void registration_free(struct registration *registration)
{
	if (registration == NULL)
		return;
	kube_watch_stop(registration->watch);
	if (registration->request != NULL)
		kube_request_cancel(registration->request);
	loop_timer_stop(&registration->timer);
	json_decref(registration->configuration);
	mem_free(registration);
}

void registration_authorities_changed(struct registration *registration)
{
	evaluate(registration);
}

bool registration_is_done(const struct registration *registration)
{
	return registration->is_done;
}

const struct why *registration_detail(const struct registration *registration)
{
	return &registration->detail;
}
