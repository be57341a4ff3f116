/* Pods, their accounts, and which pod owns an address. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"
#include <stdio.h>

/* --- accounts --- */

struct account_key {
	const char *namespace_, *name;
};

static bool is_account(const struct table_link *link, const void *key)
{
	const struct account *account = container_of(link, const struct account, link);
	const struct account_key *wanted = key;
	return strcmp(account->name, wanted->name) == 0 && strcmp(account->namespace_, wanted->namespace_) == 0;
}

static enum err account_take(struct kube_view *view, const struct kube_pod *pod, struct account **out, struct why *why)
{
	const struct account_key key = {pod->meta.namespace_, pod->service_account};
	uint64_t hash = content_mix(content_mix(view->accounts.seed, key.namespace_), key.name);
	struct table_link *link = table_find(&view->accounts, hash, is_account, &key);
	char text[SPIFFE_ID_MAX + 1];
	struct spiffe_id id = {0};
	if (link == NULL) {
		snprintf(text, sizeof(text), "spiffe://%s/ns/%s/sa/%s", view->trust_domain.name, key.namespace_,
			key.name);
		RETURN_IF_ERR(spiffe_id_parse(span_of_str(text), &id, why));
		struct account *account = mem_new(struct account);
		*account = (struct account){
			.namespace_ = mem_strdup(key.namespace_), .name = mem_strdup(key.name), .id = id};
		table_add(&view->accounts, &account->link, hash);
		link = &account->link;
	}
	*out = container_of(link, struct account, link);
	(*out)->share = share_take(view, key.namespace_, SHARE_PODS);
	(*out)->refs++;
	return ERR_NONE;
}

static void account_drop(struct kube_view *view, struct account *account)
{
	CHECK(account->refs > 0);
	share_drop(view, account->share, SHARE_PODS);
	if (--account->refs > 0)
		return;
	table_remove(&view->accounts, &account->link);
	spiffe_id_done(&account->id);
	mem_free(account->namespace_);
	mem_free(account->name);
	mem_free(account);
}

/* --- pods --- */

uint64_t pod_uid_hash(const struct kube_view *view, const char *uid)
{
	uint64_t hash = content_mix(view->pods.seed, uid);
	return hash == 0 ? 1 : hash;
}

static bool has_uid(const struct table_link *link, const void *uid)
{
	return strcmp(container_of(link, const struct pod, link)->uid, uid) == 0;
}

static struct pod *pod_find(const struct kube_view *view, const char *uid)
{
	struct table_link *link = table_find(&view->pods, pod_uid_hash(view, uid), has_uid, uid);
	return link == NULL ? NULL : container_of(link, struct pod, link);
}

static bool any(_unused_ const struct table_link *link, _unused_ const void *key)
{
	return true;
}

struct pod *pod_by_hash(const struct kube_view *view, uint64_t uid_hash)
{
	struct table_link *link = table_find(&view->pods, uid_hash, any, NULL);
	return link == NULL ? NULL : container_of(link, struct pod, link);
}

static struct pod *pod_new(struct kube_view *view, const struct kube_meta *meta)
{
	size_t uid_len = strlen(meta->uid) + 1, name_len = strlen(meta->name) + 1;
	struct pod *pod = mem_zalloc(sizeof(*pod) + uid_len + name_len);
	memcpy(pod->uid, meta->uid, uid_len);
	memcpy(pod->uid + uid_len, meta->name, name_len);
	pod->name = pod->uid + uid_len;
	table_add(&view->pods, &pod->link, pod_uid_hash(view, meta->uid));
	return pod;
}

static uint64_t content_of(const struct kube_view *view, const struct kube_pod *pod)
{
	const uint64_t facts[] = {pod->started, pod->has_sidecar, pod->is_host_network, pod->is_deleting,
		pod->has_finished, pod->has_opted_out, pod->has_unmarked_sidecar, pod->num_ips, pod->num_host_ips,
		pod->foreign};
	uint64_t content = hash_bytes(span_of(facts, sizeof(facts)), view->pods.seed);
	content = content_mix(content_mix(content, pod->meta.namespace_), pod->service_account);
	for (size_t i = 0; i < pod->num_ips; i++)
		content = content_mix_ip(content, &pod->ips[i]);
	for (size_t i = 0; i < pod->num_host_ips; i++)
		content = content_mix_ip(content, &pod->host_ips[i]);
	return content;
}

/* Whether `pod` owns an address that `other` has too: a pod that is being deleted gives it to one that is not, and else
 * the older one to the newer one. */
static bool outranks(const struct pod *pod, const struct pod *other)
{
	if (pod->is_deleting != other->is_deleting)
		return other->is_deleting;
	return pod->started >= other->started;
}

static void address_take(struct kube_view *view, struct pod *pod, const struct ip_addr *ip)
{
	struct pod_address *address = &pod->addresses[pod->num_addresses++];
	*address = (struct pod_address){.place = place_for(view, ip), .pod = pod};
	struct list *pods = &address->place->pods;
	if (list_is_empty(pods)) {
		net_note_pod(view, ip);
		held_forget(view, ip);
	}
	struct pod_address *at = LIST_FIRST(pods, struct pod_address, of_place);
	while (at != NULL && !outranks(pod, at->pod))
		at = LIST_NEXT(pods, at, of_place);
	if (at == NULL)
		list_push_back(pods, &address->of_place);
	else
		list_insert(at->of_place.prev, &address->of_place, &at->of_place);
	place_taken(view, address->place);
}

/* The addresses whose answers a change concerns. */
struct touched {
	struct ip_addr ips[4 * KUBE_POD_IPS_MAX];
	size_t num;
};

static void touch(struct touched *touched, const struct ip_addr *ip)
{
	for (size_t i = 0; i < touched->num; i++)
		if (ip_addr_eq(&touched->ips[i], ip))
			return;
	CHECK(touched->num < sizeof(touched->ips) / sizeof(touched->ips[0]));
	touched->ips[touched->num++] = *ip;
}

static void pod_detach(struct kube_view *view, struct pod *pod, struct touched *touched)
{
	while (pod->num_addresses > 0) {
		struct pod_address *address = &pod->addresses[--pod->num_addresses];
		struct place *place = address->place;
		touch(touched, &place->ip);
		list_remove(&address->of_place);
		if (!list_is_empty(&place->pods)) {
			place_taken(view, place);
			continue;
		}
		place_left(view, place);
	}
	zone_drop_vote(pod);
	while (pod->num_hosts > 0) {
		struct place *host = pod->hosts[--pod->num_hosts];
		if (pod->is_host_network || host->num_hosts == 1)
			touch(touched, &host->ip);
		place_host_removed(view, host);
	}
}

static void pod_attach(struct kube_view *view, struct pod *pod, const struct kube_pod *fresh, struct touched *touched)
{
	for (size_t i = 0; i < fresh->num_ips && !fresh->has_finished; i++) {
		address_take(view, pod, &fresh->ips[i]);
		touch(touched, &fresh->ips[i]);
	}
	for (size_t i = 0; i < fresh->num_host_ips; i++) {
		struct place *host = place_for(view, &fresh->host_ips[i]);
		pod->hosts[pod->num_hosts++] = host;
		if (pod->is_host_network || host->num_hosts == 0)
			touch(touched, &host->ip);
		place_host_added(view, host);
	}
}

static void notify(struct kube_view *view, const struct touched *touched)
{
	for (size_t i = 0; i < touched->num; i++)
		place_changed(view, &touched->ips[i]);
}

static enum err refuse(struct kube_view *view, const struct kube_pod *pod, struct why *why)
{
	for (size_t i = 0; i < pod->num_ips; i++)
		net_note_pod_left_out(view, &pod->ips[i]);
	return why_set(why, ERR_LIMIT, "at most 200000 pods, and 25000 of one namespace",
		"use more namespaces, or split the cluster", "the pod %.63s/%.120s is left out", pod->meta.namespace_,
		pod->meta.name);
}

/* What makes it meshed cannot be taken from it again while it runs: a container cannot be removed from a pod, but
 * annotations and labels can, and that must not turn encryption off. */
static void note_sidecar(const struct kube_view *view, struct pod *pod, const struct kube_pod *fresh)
{
	enum kube_foreign foreign = view->takes_istio ? fresh->foreign : KUBE_FOREIGN_NONE;
	bool is_ours = fresh->has_sidecar || (pod->has_sidecar && !pod->is_foreign);
	pod->is_foreign = !is_ours && (pod->is_foreign || foreign != KUBE_FOREIGN_NONE);
	if (!pod->is_foreign || foreign != KUBE_FOREIGN_NONE)
		pod->is_istio_tls = pod->is_foreign && foreign == KUBE_FOREIGN_ISTIO_TLS;
	pod->has_sidecar = is_ours || pod->is_foreign;
	pod->has_unmarked_sidecar = fresh->has_unmarked_sidecar && !pod->has_sidecar;
}

enum err pod_put(struct kube_view *view, const struct kube_pod *fresh, struct why *why)
{
	struct pod *pod = pod_find(view, fresh->meta.uid);
	uint64_t content = content_of(view, fresh);
	struct touched touched = {0};
	struct account *account;
	if (pod != NULL)
		pod->generation = view->generations[KUBE_PODS];
	if (pod != NULL && pod->content == content)
		return ERR_NONE;
	if (pod == NULL &&
		(view->pods.num >= KUBE_VIEW_PODS_MAX || !share_has_room(view, fresh->meta.namespace_, SHARE_PODS, 1)))
		return refuse(view, fresh, why);
	RETURN_IF_ERR(account_take(view, fresh, &account, why));
	if (pod == NULL)
		pod = pod_new(view, &fresh->meta);
	else {
		pod_detach(view, pod, &touched);
		account_drop(view, pod->account);
	}
	pod->account = account;
	pod->content = content;
	pod->started = fresh->started;
	pod->generation = view->generations[KUBE_PODS];
	note_sidecar(view, pod, fresh);
	pod->lacks_sidecar = !pod->has_sidecar && !fresh->has_unmarked_sidecar && !fresh->is_host_network &&
			     !fresh->has_opted_out && !fresh->is_deleting && !fresh->has_finished;
	pod->is_host_network = fresh->is_host_network;
	pod->is_deleting = fresh->is_deleting;
	pod_attach(view, pod, fresh, &touched);
	zone_note_pod(view, pod);
	notify(view, &touched);
	return ERR_NONE;
}

void pod_remove(struct kube_view *view, struct pod *pod)
{
	struct touched touched = {0};
	zone_pod_gone(view, pod);
	pod_detach(view, pod, &touched);
	account_drop(view, pod->account);
	table_remove(&view->pods, &pod->link);
	mem_free(pod);
	notify(view, &touched);
}

struct wanted_pod {
	const char *namespace_, *name;
	bool is_found;
};

static void compare_name(void *arg, struct table_link *link)
{
	struct wanted_pod *wanted = arg;
	const struct pod *pod = container_of(link, const struct pod, link);
	if ((pod->num_addresses > 0 || pod->is_host_network) && strcmp(pod->name, wanted->name) == 0 &&
		strcmp(pod->account->namespace_, wanted->namespace_) == 0)
		wanted->is_found = true;
}

bool kube_view_has_pod(const struct kube_view *view, const char *namespace_, const char *name)
{
	struct wanted_pod wanted = {namespace_, name, !view->has_synced[KUBE_PODS]};
	table_each(&view->pods, compare_name, &wanted);
	return wanted.is_found;
}

void pod_deleted(struct kube_view *view, const char *uid)
{
	struct pod *pod = pod_find(view, uid);
	if (pod != NULL)
		pod_remove(view, pod);
}
