#include "intercept/cni/daemon_set.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/json/json_read.h"
#include "base/kube/kube_status.h"
#include "base/kube/kube_watch.h"

#define COMPONENT "agent"

enum { ANSWER_MS = 5000 }; /* of the 30 s that kubelet waits for the end */

struct daemon_set {
	struct kube_client *client;
	char *folder, *path; /* of the API: that of all DaemonSets of the namespace, and the object */
	struct kube_watch *watch;
	struct kube_request *asks;
	bool is_listed; /* by the state that is being read */
	bool is_gone;   /* seen by the watch */
	daemon_set_done_fn *on_done;
	void *arg;
};

static bool is_deleted(const json_t *object)
{
	return json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") != NULL;
}

static void set_gone(struct daemon_set *set, bool is_gone)
{
	if (is_gone && !set->is_gone)
		log_notice(COMPONENT, "the DaemonSet is deleted: the plugin is removed at the end");
	set->is_gone = is_gone;
}

static void on_begin(void *arg)
{
	struct daemon_set *set = arg;
	set->is_listed = false;
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct daemon_set *set = arg;
	set->is_listed = event == KUBE_PUT;
	set_gone(set, event == KUBE_DELETED || is_deleted(object));
}

static void on_synced(void *arg)
{
	struct daemon_set *set = arg;
	if (!set->is_listed)
		set_gone(set, true);
}

/* What was seen holds; at the end the API server is asked. */
static void on_trouble(void *arg, const struct why *why)
{
	(void)arg;
	if (why != NULL)
		log_why(LOG_LEVEL_DEBUG, COMPONENT, "the DaemonSet cannot be watched", why);
}

struct daemon_set *daemon_set_new(struct kube_client *client, const char *name)
{
	static const struct kube_watch_observer callbacks = {
		.on_begin = on_begin, .on_object = on_object, .on_synced = on_synced, .on_trouble = on_trouble};
	const char *slash = strchr(name, '/');
	CHECK(slash != NULL);
	struct daemon_set *set = mem_new(struct daemon_set);
	*set = (struct daemon_set){.client = client};
	set->folder = mem_printf("/apis/apps/v1/namespaces/%.*s/daemonsets", (int)(slash - name), name);
	set->path = mem_printf("%s/%s", set->folder, slash + 1);
	_cleanup_(mem_freep) char *query = mem_printf("fieldSelector=metadata.name%%3D%s", slash + 1);
	struct kube_watch_observer observer = callbacks;
	observer.arg = set;
	struct kube_watch_options options = {.path = set->folder, .query = query};
	set->watch = kube_watch_start(client, &options, &observer);
	return set;
}

void daemon_set_free(struct daemon_set *set)
{
	if (set->asks != NULL)
		kube_request_cancel(set->asks);
	kube_watch_stop(set->watch);
	mem_free(set->folder);
	mem_free(set->path);
	mem_free(set);
}

static bool read_object(struct span text)
{
	json_t *object = json_read(text, NULL);
	bool is_gone = is_deleted(object);
	json_decref(object);
	return is_gone;
}

static void report_unknown(
	const struct daemon_set *set, enum err err, const struct kube_response *response, const struct why *given)
{
	struct why why = {0};
	if (err == ERR_NONE)
		err = kube_status_explain(response->status, response->body, set->path, "\"get\"", &why);
	else if (given != NULL)
		why = *given;
	log_why(LOG_LEVEL_WARNING, COMPONENT, "at the end", &why);
	log_warning(COMPONENT,
		"it is not known whether the DaemonSet is gone (%s): the plugin stays on this node; expected: an "
		"answer of the API server; fix: if this is an uninstall, run `handfast-cni uninstall` on this node",
		err_text(err));
}

static void on_answer(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct daemon_set *set = arg;
	unsigned status = err == ERR_NONE ? response->status : 0;
	set->asks = NULL;
	bool is_gone = set->is_gone || status == 404 || (status == 200 && read_object(response->body));
	if (!is_gone && status != 200)
		report_unknown(set, err, response, why);
	set->on_done(set->arg, is_gone);
}

void daemon_set_ask(struct daemon_set *set, daemon_set_done_fn *on_done, void *arg)
{
	const struct kube_request_options options = {.method = "GET", .path = set->path, .timeout_ms = ANSWER_MS};
	CHECK(set->asks == NULL);
	set->on_done = on_done;
	set->arg = arg;
	set->asks = kube_request_start(set->client, &options, on_answer, set);
}
