#include "control/kube/view.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"
#include <stdio.h>

struct kube_view *kube_view_new(const struct trust_domain *trust_domain, const struct kube_view_observer *observer)
{
	struct kube_view *view = mem_new(struct kube_view);
	CHECK(observer->on_change != NULL);
	view->trust_domain = *trust_domain;
	view->observer = *observer;
	table_init(&view->held, 0);
	table_init(&view->shares, 0);
	table_init(&view->nets, 0);
	table_init(&view->places, 0);
	table_init(&view->accounts, 0);
	table_init(&view->pods, 0);
	table_init(&view->services, 0);
	table_init(&view->slices, 0);
	table_init(&view->namespaces, 0);
	table_init(&view->node_ports, 0);
	return view;
}

void kube_view_take_istio(struct kube_view *view)
{
	CHECK(view->pods.num == 0);
	view->takes_istio = true;
}

/* --- namespaces --- */

static bool has_name(const struct table_link *link, const void *name)
{
	return strcmp(container_of(link, const struct namespace_, link)->name, name) == 0;
}

static struct namespace_ *namespace_find(const struct kube_view *view, const char *name)
{
	struct table_link *link =
		table_find(&view->namespaces, content_mix(view->namespaces.seed, name), has_name, name);
	return link == NULL ? NULL : container_of(link, struct namespace_, link);
}

static enum err namespace_put(struct kube_view *view, const struct kube_namespace *fresh, struct why *why)
{
	struct namespace_ *namespace_ = namespace_find(view, fresh->meta.name);
	size_t len = strlen(fresh->meta.name) + 1;
	if (namespace_ == NULL && view->namespaces.num >= KUBE_VIEW_NAMESPACES_MAX) {
		return why_set(why, ERR_LIMIT, "at most 65536 namespaces", "split the cluster",
			"the namespace %.120s is left out", fresh->meta.name);
	}
	if (namespace_ == NULL) {
		namespace_ = mem_zalloc(sizeof(*namespace_) + len);
		memcpy(namespace_->name, fresh->meta.name, len);
		table_add(&view->namespaces, &namespace_->link, content_mix(view->namespaces.seed, namespace_->name));
	}
	namespace_->is_injected = fresh->is_injected;
	snprintf(namespace_->pod_security, sizeof(namespace_->pod_security), "%s", fresh->pod_security);
	snprintf(namespace_->interception, sizeof(namespace_->interception), "%s", fresh->interception);
	namespace_->generation = view->generations[KUBE_NAMESPACES];
	return ERR_NONE;
}

static void namespace_remove(struct kube_view *view, struct namespace_ *namespace_)
{
	table_remove(&view->namespaces, &namespace_->link);
	mem_free(namespace_);
}

bool kube_view_namespace(const struct kube_view *view, const char *name, struct kube_namespace_view *out)
{
	const struct namespace_ *namespace_ = namespace_find(view, name);
	if (namespace_ == NULL)
		return false;
	*out = (struct kube_namespace_view){
		namespace_->is_injected, namespace_->pod_security, namespace_->interception};
	return true;
}

struct unmeshed_search {
	const struct kube_view *view;
	struct kube_unmeshed *out;
};

static void add_unmeshed(void *arg, struct table_link *link)
{
	const struct unmeshed_search *search = arg;
	const struct pod *pod = container_of(link, const struct pod, link);
	const struct namespace_ *namespace_ =
		pod->lacks_sidecar ? namespace_find(search->view, pod->account->namespace_) : NULL;
	if (namespace_ == NULL || !namespace_->is_injected)
		return;
	if (search->out->num++ == 0)
		snprintf(search->out->example, sizeof(search->out->example), "%s/%.250s", namespace_->name, pod->name);
}

void kube_view_unmeshed(const struct kube_view *view, struct kube_unmeshed *out)
{
	*out = (struct kube_unmeshed){0};
	struct unmeshed_search search = {view, out};
	table_each(&view->pods, add_unmeshed, &search);
}

/* --- changes --- */

static enum err put(struct kube_view *view, enum kube_kind kind, const json_t *object, struct why *why)
{
	switch (kind) {
	case KUBE_PODS:
		RETURN_IF_ERR(kube_pod_parse(object, &view->parsed.pod, why));
		return pod_put(view, &view->parsed.pod, why);
	case KUBE_SERVICES:
		RETURN_IF_ERR(kube_service_parse(object, &view->parsed.service, why));
		return service_put(view, &view->parsed.service, why);
	case KUBE_SLICES:
		RETURN_IF_ERR(kube_slice_parse(object, &view->parsed.slice, why));
		return slice_put(view, &view->parsed.slice, why);
	case KUBE_NAMESPACES:
		RETURN_IF_ERR(kube_namespace_parse(object, &view->parsed.namespace_, why));
		return namespace_put(view, &view->parsed.namespace_, why);
	case NUM_KUBE_KINDS:
		break;
	}
	CHECK_UNREACHABLE();
}

static void remove_named(struct kube_view *view, enum kube_kind kind, const struct kube_meta *meta)
{
	struct namespace_ *namespace_;
	switch (kind) {
	case KUBE_PODS:
		pod_deleted(view, meta->uid);
		return;
	case KUBE_SERVICES:
		service_deleted(view, meta);
		return;
	case KUBE_SLICES:
		slice_deleted(view, meta);
		return;
	case KUBE_NAMESPACES:
		namespace_ = namespace_find(view, meta->name);
		if (namespace_ != NULL)
			namespace_remove(view, namespace_);
		return;
	case NUM_KUBE_KINDS:
		break;
	}
	CHECK_UNREACHABLE();
}

static void change_begin(struct kube_view *view)
{
	CHECK(!view->is_changing && list_is_empty(&view->due));
	view->is_changing = true;
	view->was_flat = view->is_flat;
}

static void change_end(struct kube_view *view)
{
	view->is_changing = false;
	services_settle(view);
	if (view->is_flat && !view->was_flat && view->is_synced)
		view->observer.on_change(view->observer.arg, NULL);
}

enum err kube_view_put(struct kube_view *view, enum kube_kind kind, const json_t *object, struct why *why)
{
	change_begin(view);
	enum err err = put(view, kind, object, why);
	change_end(view);
	return err;
}

enum err kube_view_deleted(struct kube_view *view, enum kube_kind kind, const json_t *object, struct why *why)
{
	struct kube_meta meta;
	RETURN_IF_ERR(kube_meta_parse(object, &meta, why));
	change_begin(view);
	remove_named(view, kind, &meta);
	change_end(view);
	return ERR_NONE;
}

/* --- generations --- */

void kube_view_begin(struct kube_view *view, enum kube_kind kind)
{
	view->generations[kind]++;
	if (kind == KUBE_SERVICES)
		view->will_be_cut = false;
}

static void sweep_pod(void *arg, struct table_link *link)
{
	struct kube_view *view = arg;
	struct pod *pod = container_of(link, struct pod, link);
	if (pod->generation != view->generations[KUBE_PODS])
		pod_remove(view, pod);
}

static void sweep_service(void *arg, struct table_link *link)
{
	struct kube_view *view = arg;
	struct service *service = container_of(link, struct service, link);
	if (service->exists && service->generation != view->generations[KUBE_SERVICES])
		service_remove(view, service);
}

static void uncut_service(void *arg, struct table_link *link)
{
	struct kube_view *view = arg;
	struct service *service = container_of(link, struct service, link);
	if (!service->is_cut || service->cut == view->generations[KUBE_SLICES])
		return;
	service->is_cut = false;
	service_changed(view, service);
	service_left(view, service);
}

static void sweep_slice(void *arg, struct table_link *link)
{
	struct kube_view *view = arg;
	struct slice *slice = container_of(link, struct slice, link);
	if (slice->generation != view->generations[KUBE_SLICES])
		slice_remove(view, slice);
}

static void sweep_namespace(void *arg, struct table_link *link)
{
	struct kube_view *view = arg;
	struct namespace_ *namespace_ = container_of(link, struct namespace_, link);
	if (namespace_->generation != view->generations[KUBE_NAMESPACES])
		namespace_remove(view, namespace_);
}

static void sweep_kind(struct kube_view *view, enum kube_kind kind)
{
	switch (kind) {
	case KUBE_PODS:
		table_each(&view->pods, sweep_pod, view);
		nets_uncut(view);
		return;
	case KUBE_SERVICES:
		table_each(&view->services, sweep_service, view);
		view->is_cut = view->will_be_cut;
		return;
	case KUBE_SLICES:
		table_each(&view->slices, sweep_slice, view);
		table_each(&view->services, uncut_service, view);
		return;
	case KUBE_NAMESPACES:
		table_each(&view->namespaces, sweep_namespace, view);
		return;
	case NUM_KUBE_KINDS:
		break;
	}
	CHECK_UNREACHABLE();
}

/* Removes what was not put since kube_view_begin(). */
static void sweep(struct kube_view *view, enum kube_kind kind)
{
	change_begin(view);
	sweep_kind(view, kind);
	change_end(view);
}

static void settle_service(void *arg, struct table_link *link)
{
	service_changed(arg, container_of(link, struct service, link));
}

void kube_view_synced(struct kube_view *view, enum kube_kind kind)
{
	sweep(view, kind);
	view->has_synced[kind] = true;
	if (view->is_synced || !view->has_synced[KUBE_PODS] || !view->has_synced[KUBE_SERVICES] ||
		!view->has_synced[KUBE_SLICES])
		return;
	view->is_synced = true;
	table_each(&view->services, settle_service, view);
	view->observer.on_change(view->observer.arg, NULL);
}

void kube_view_set_stale(struct kube_view *view, bool is_stale)
{
	bool is_over = view->is_stale && !is_stale;
	view->is_stale = is_stale;
	if (is_over && view->is_synced) /* answers that were given before it began stay while it lasts */
		view->observer.on_change(view->observer.arg, NULL);
}

void kube_view_pass(struct kube_view *view, uint64_t now_ms)
{
	view->now_ms = now_ms;
	places_forget_old(view);
	held_pass(view);
}

/* All at once: what was not put since kube_view_begin() goes. */
void kube_view_free(struct kube_view *view)
{
	view->is_synced = false; /* the observer is not notified */
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++) {
		kube_view_begin(view, kind);
		sweep(view, kind);
	}
	view->now_ms += KUBE_VIEW_GONE_MS;
	places_forget_old(view);
	CHECK(view->num_endpoints == 0 && view->num_gone == 0);
	held_done(view);
	nets_done(view);
	table_done(&view->shares);
	table_done(&view->places);
	table_done(&view->accounts);
	table_done(&view->pods);
	table_done(&view->services);
	table_done(&view->slices);
	table_done(&view->namespaces);
	table_done(&view->node_ports);
	mem_free(view);
}
