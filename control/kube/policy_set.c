#include "control/kube/policy_set.h"
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/kube/objects.h"
#include "control/kube/policy_applied.h"
#include <string.h>

enum { STAMP_DIGITS = 14 }; /* of a time in RFC 3339 up to its seconds */

/* --- namespaces --- */

static bool is_named(const struct table_link *link, const void *key)
{
	const struct span *name = key;
	return span_eq(span_of_str(container_of(link, const struct policy_namespace, link)->name), *name);
}

static struct policy_namespace *namespace_find(const struct policy_set *set, struct span name)
{
	struct table_link *link = table_find(&set->namespaces, hash_bytes(name, set->namespaces.seed), is_named, &name);
	return link == NULL ? NULL : container_of(link, struct policy_namespace, link);
}

static struct policy_namespace *namespace_take(struct policy_set *set, const char *name)
{
	struct span text = span_of_str(name);
	struct policy_namespace *found = namespace_find(set, text);
	if (found != NULL)
		return found;
	found = mem_zalloc(sizeof(*found) + text.len + 1);
	memcpy(found->name, name, text.len + 1);
	table_add(&set->namespaces, &found->link, hash_bytes(text, set->namespaces.seed));
	return found;
}

static void forget_changes(struct policy_namespace *in)
{
	for (size_t i = 0; i < in->num_changed; i++)
		mem_free(in->changed[i]);
	in->num_changed = 0;
	in->has_changed_whole = false;
}

static void namespace_drop_if_unused(struct policy_set *set, struct policy_namespace *in)
{
	if (in->num > 0 || list_is_linked(&in->of_set))
		return;
	CHECK(list_is_empty(&in->policies) && in->num_changed == 0);
	table_remove(&set->namespaces, &in->link);
	mem_free(in);
}

/* --- whom a change concerns --- */

static bool is_noted(const struct policy_namespace *in, struct span account)
{
	for (size_t i = 0; i < in->num_changed; i++)
		if (span_eq(span_of_str(in->changed[i]), account))
			return true;
	return in->has_changed_whole;
}

static void note_change(struct policy_set *set, struct policy_namespace *in, const struct policy_object *object)
{
	if (!list_is_linked(&in->of_set))
		list_push_back(&set->changed, &in->of_set);
	in->has_changed_whole = in->has_changed_whole || object->num_accounts == 0 ||
				in->num_changed + object->num_accounts > POLICY_CHANGED_MAX;
	for (size_t i = 0; i < object->num_accounts && !in->has_changed_whole; i++)
		if (!is_noted(in, span_of_str(object->accounts[i])))
			in->changed[in->num_changed++] = mem_strdup(object->accounts[i]);
}

bool policy_set_has_changed(const struct policy_set *set)
{
	return !list_is_empty(&set->changed);
}

void policy_set_settle(struct policy_set *set)
{
	while (!list_is_empty(&set->changed)) {
		struct policy_namespace *in = LIST_FIRST(&set->changed, struct policy_namespace, of_set);
		list_remove(&in->of_set);
		forget_changes(in);
		namespace_drop_if_unused(set, in);
	}
}

/* "spiffe://<own trust domain>/ns/<namespace>/sa/<account>". NULL: another form, or a namespace without policies. */
static struct policy_namespace *namespace_of(
	const struct policy_set *set, const struct spiffe_id *id, struct span *out_account)
{
	static const struct span ns = {(const uint8_t *)"/ns/", 4}, sa = {(const uint8_t *)"/sa/", 4};
	struct span path = spiffe_id_path(id);
	if (!spiffe_id_in_trust_domain(id, set->trust_domain) || !span_starts_with(path, ns))
		return NULL;
	path = span_from(path, ns.len);
	const uint8_t *slash = path.len == 0 ? NULL : memchr(path.ptr, '/', path.len);
	size_t len = slash == NULL ? path.len : (size_t)(slash - path.ptr);
	struct span rest = span_from(path, len);
	if (!span_starts_with(rest, sa) || rest.len == sa.len ||
		memchr(rest.ptr + sa.len, '/', rest.len - sa.len) != NULL)
		return NULL;
	*out_account = span_from(rest, sa.len);
	return namespace_find(set, span_of(path.ptr, len));
}

bool policy_set_concerns(void *arg, const struct spiffe_id *id)
{
	struct span account;
	const struct policy_namespace *in = namespace_of(arg, id, &account);
	return in != NULL && list_is_linked(&in->of_set) && is_noted(in, account);
}

/* --- order --- */

/* One that names accounts before one of all, then the older one. */
static bool goes_before(const struct policy_entry *a, const struct policy_entry *b)
{
	bool a_names = a->object.num_accounts > 0, b_names = b->object.num_accounts > 0;
	if (a_names != b_names)
		return a_names;
	if (a->created != b->created)
		return a->created < b->created;
	return strcmp(a->name, b->name) < 0;
}

static bool is_older(const struct policy_entry *a, const struct policy_entry *b)
{
	return a->created != b->created ? a->created < b->created : strcmp(a->name, b->name) < 0;
}

static void entry_place(struct policy_entry *entry)
{
	struct policy_namespace *in = entry->namespace_;
	LIST_EACH(&in->policies, struct policy_entry, at, of_namespace)
		if (goes_before(entry, at)) {
			list_insert(at->of_namespace.prev, &entry->of_namespace, &at->of_namespace);
			return;
		}
	list_push_back(&in->policies, &entry->of_namespace);
}

/* Which are in force: the oldest ones. What that changes is noted. */
static void choose(struct policy_set *set, struct policy_namespace *in)
{
	LIST_EACH(&in->policies, struct policy_entry, entry, of_namespace) {
		size_t num_older = 0;
		LIST_EACH(&in->policies, struct policy_entry, other, of_namespace)
			num_older += other->has_object && is_older(other, entry);
		bool is_in_force = entry->has_object && num_older < POLICY_FOUND_MAX;
		if (is_in_force != entry->is_in_force)
			note_change(set, in, &entry->object);
		entry->is_in_force = is_in_force;
		json_decref(entry->warnings);
		entry->warnings = NULL;
	}
}

void policy_set_explain_limit(struct why *out)
{
	(void)why_set(out, ERR_LIMIT, "at most 32 policies in force per namespace", "join several of them",
		"32 older policies of the namespace are in force");
}

/* --- entries --- */

static struct policy_entry *entry_find(const struct policy_set *set, const struct kube_meta *meta)
{
	const struct policy_namespace *in = namespace_find(set, span_of_str(meta->namespace_));
	if (in == NULL)
		return NULL;
	LIST_EACH(&in->policies, struct policy_entry, entry, of_namespace)
		if (strcmp(entry->name, meta->name) == 0)
			return entry;
	return NULL;
}

static void entry_drop(struct policy_set *set, struct policy_entry *entry)
{
	struct policy_namespace *in = entry->namespace_;
	set->on_gone(set->arg, entry);
	if (entry->is_in_force)
		note_change(set, in, &entry->object);
	list_remove(&entry->of_namespace);
	list_remove(&entry->of_set);
	CHECK(in->num > 0 && set->num > 0);
	in->num--;
	set->num--;
	policy_object_done(&entry->object);
	json_decref(entry->spec);
	json_decref(entry->status);
	json_decref(entry->warnings);
	mem_free(entry->name);
	mem_free(entry->uid);
	mem_free(entry);
	choose(set, in);
	namespace_drop_if_unused(set, in);
}

static enum err entry_add(
	struct policy_set *set, const struct kube_meta *meta, struct policy_entry **out, struct why *why)
{
	struct policy_namespace *in = namespace_take(set, meta->namespace_);
	if (set->num >= POLICIES_MAX || in->num >= POLICIES_NAMESPACE_MAX) {
		namespace_drop_if_unused(set, in);
		return why_set(why, ERR_LIMIT, "at most 4096 policies, and 128 per namespace",
			"join several of one namespace", "the policy %s/%.80s is left out", meta->namespace_,
			meta->name);
	}
	struct policy_entry *entry = mem_new(struct policy_entry);
	entry->namespace_ = in;
	entry->name = mem_strdup(meta->name);
	entry->uid = mem_strdup(meta->uid);
	list_push_back(&set->entries, &entry->of_set);
	list_push_back(&in->policies, &entry->of_namespace);
	in->num++;
	set->num++;
	*out = entry;
	return ERR_NONE;
}

/* "2026-11-28T04:14:09Z", as the API writes it. */
static uint64_t stamp_of(const char *text)
{
	uint64_t stamp = 0;
	unsigned num = 0;
	for (; text != NULL && *text != '\0' && num < STAMP_DIGITS; text++)
		if (*text >= '0' && *text <= '9') {
			stamp = 10 * stamp + (uint64_t)(*text - '0');
			num++;
		}
	return stamp;
}

static void keep(json_t **place, json_t *value)
{
	json_incref(value);
	json_decref(*place);
	*place = value;
}

/* What was in force stays so, if the new spec is not valid. */
static void entry_read_spec(struct policy_set *set, struct policy_entry *entry, const json_t *object)
{
	struct policy_object fresh = {0};
	entry->refusal = (struct why){0};
	if (policy_object_parse(object, set->trust_domain, &fresh, &entry->refusal) != ERR_NONE)
		return;
	if (entry->is_in_force)
		note_change(set, entry->namespace_, &entry->object);
	policy_object_done(&entry->object);
	entry->object = fresh;
	entry->has_object = true;
	if (entry->is_in_force)
		note_change(set, entry->namespace_, &entry->object);
	list_remove(&entry->of_namespace);
	entry_place(entry);
}

static void entry_read_applied(struct policy_set *set, struct policy_entry *entry, const json_t *object)
{
	const char *text = policy_applied_text(object);
	uint64_t hash = text == NULL ? 0 : hash_bytes(span_of_str(text), set->namespaces.seed);
	if (hash == entry->applied)
		return;
	entry->applied = hash;
	if (text == NULL || policy_applied_check(text, set->trust_domain, &entry->dropped) == ERR_NONE)
		entry->dropped = (struct why){0};
	json_decref(entry->warnings);
	entry->warnings = NULL;
}

enum err policy_set_put(struct policy_set *set, const json_t *object, struct why *why)
{
	const json_t *meta = json_object_get(object, "metadata");
	json_t *spec = json_object_get(object, "spec");
	struct kube_meta names;
	RETURN_IF_ERR(kube_meta_parse(object, &names, why));
	if (names.namespace_[0] == '\0')
		return why_set(why, ERR_MALFORMED, "a policy with a namespace",
			"install the definition of this release", "the policy %.80s has none", names.name);
	struct policy_entry *entry = entry_find(set, &names);
	if (entry != NULL && strcmp(entry->uid, names.uid) != 0) { /* made anew: nothing of the one before holds */
		entry_drop(set, entry);
		entry = NULL;
	}
	bool is_new = entry == NULL;
	if (is_new)
		RETURN_IF_ERR(entry_add(set, &names, &entry, why));
	CHECK(entry != NULL);
	entry->is_old = false;
	entry->created = stamp_of(json_string_value(json_object_get(meta, "creationTimestamp")));
	entry->generation = json_integer_value(json_object_get(meta, "generation"));
	keep(&entry->status, json_object_get(object, "status"));
	entry_read_applied(set, entry, object);
	if (is_new || !json_equal(entry->spec, spec)) {
		entry_read_spec(set, entry, object);
		keep(&entry->spec, entry->refusal.err == ERR_NONE ? spec : NULL);
		choose(set, entry->namespace_);
	}
	return ERR_NONE;
}

void policy_set_deleted(struct policy_set *set, const json_t *object)
{
	struct kube_meta names;
	if (kube_meta_parse(object, &names, NULL) != ERR_NONE)
		return;
	struct policy_entry *entry = entry_find(set, &names);
	if (entry != NULL && strcmp(entry->uid, names.uid) == 0)
		entry_drop(set, entry);
}

void policy_set_begin(struct policy_set *set)
{
	LIST_EACH(&set->entries, struct policy_entry, entry, of_set)
		entry->is_old = true;
}

void policy_set_synced(struct policy_set *set)
{
	struct policy_entry *next;
	for (struct policy_entry *entry = LIST_FIRST(&set->entries, struct policy_entry, of_set); entry != NULL;
		entry = next) {
		next = LIST_NEXT(&set->entries, entry, of_set);
		if (entry->is_old)
			entry_drop(set, entry);
	}
}

/* --- what applies --- */

void policy_set_find(void *arg, const struct spiffe_id *id, struct policy_found *out)
{
	struct span account;
	const struct policy_namespace *in = namespace_of(arg, id, &account);
	out->num = 0;
	if (in == NULL)
		return;
	LIST_EACH(&in->policies, struct policy_entry, entry, of_namespace)
		if (entry->is_in_force && policy_object_has_account(&entry->object, account)) {
			CHECK(out->num < POLICY_FOUND_MAX);
			out->list[out->num++] = &entry->object.workload;
		}
}

void policy_set_count(void *arg, const struct spiffe_id *id, bool is_in_force)
{
	struct span account;
	const struct policy_namespace *in = namespace_of(arg, id, &account);
	if (in == NULL)
		return;
	LIST_EACH(&in->policies, struct policy_entry, entry, of_namespace)
		if (entry->is_in_force && policy_object_has_account(&entry->object, account)) {
			entry->counts.sidecars++;
			entry->counts.in_force += is_in_force && entry->refusal.err == ERR_NONE;
		}
}

/* --- life --- */

void policy_set_init(struct policy_set *set, const struct trust_domain *trust_domain,
	void (*on_gone)(void *arg, struct policy_entry *entry), void *arg)
{
	*set = (struct policy_set){.trust_domain = trust_domain, .on_gone = on_gone, .arg = arg};
	table_init(&set->namespaces, 0);
}

void policy_set_done(struct policy_set *set)
{
	while (!list_is_empty(&set->entries))
		entry_drop(set, LIST_FIRST(&set->entries, struct policy_entry, of_set));
	policy_set_settle(set);
	table_done(&set->namespaces);
}
