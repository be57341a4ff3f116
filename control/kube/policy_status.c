#include "control/kube/policy_status.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 640 };

static const char *const modes[] = {"off", "permissive", "strict"};

/* --- conflicts --- */

static bool is_older(const struct policy_entry *a, const struct policy_entry *b)
{
	return a->created != b->created ? a->created < b->created : strcmp(a->name, b->name) < 0;
}

/* Both of all accounts, or one account that both name: else one of them goes before the other by its kind. */
static bool have_subject_in_common(const struct policy_entry *a, const struct policy_entry *b)
{
	if (a->object.num_accounts == 0 || b->object.num_accounts == 0)
		return a->object.num_accounts == b->object.num_accounts;
	for (size_t i = 0; i < a->object.num_accounts; i++)
		if (policy_object_has_account(&b->object, span_of_str(a->object.accounts[i])))
			return true;
	return false;
}

static void conflict_add(json_t *list, const struct policy_entry *entry, const struct policy_entry *other,
	const char *what, enum port_mode here, enum port_mode there)
{
	char text[TEXT_MAX];
	if (here == there || json_array_size(list) >= POLICY_CONFLICTS_MAX)
		return;
	snprintf(text, sizeof(text), "policy %s has the mode %s%s, this one %s; the older one applies, %s", other->name,
		modes[there], what, modes[here], is_older(entry, other) ? "this" : other->name);
	json_array_append_new(list, json_string(text));
}

static void conflicts_with(json_t *list, const struct policy_entry *entry, const struct policy_entry *other)
{
	const struct config_workload *here = &entry->object.workload, *there = &other->object.workload;
	char what[32];
	if (here->has_mode && there->has_mode)
		conflict_add(list, entry, other, "", here->mode, there->mode);
	for (size_t i = 0; i < here->num_ports; i++)
		for (size_t j = 0; j < there->num_ports; j++)
			if (here->ports[i].port == there->ports[j].port) {
				snprintf(what, sizeof(what), " for port %u", here->ports[i].port);
				conflict_add(list, entry, other, what, here->ports[i].mode, there->ports[j].mode);
			}
}

static json_t *conflicts_of(const struct policy_entry *entry)
{
	json_t *list = json_array();
	if (!entry->is_in_force)
		return list;
	LIST_EACH(&entry->namespace_->policies, struct policy_entry, other, of_namespace)
		if (other != entry && other->is_in_force && have_subject_in_common(entry, other))
			conflicts_with(list, entry, other);
	return list;
}

/* --- what is true --- */

static bool is_accepted(const struct policy_entry *entry)
{
	return entry->refusal.err == ERR_NONE && entry->is_in_force;
}

static json_t *message_of(const struct policy_entry *entry)
{
	char text[TEXT_MAX];
	struct why limit;
	if (is_accepted(entry))
		return json_string("accepted");
	policy_set_explain_limit(&limit);
	return json_string(why_format(entry->refusal.err == ERR_NONE ? &limit : &entry->refusal, text, sizeof(text)));
}

static json_t *warnings_of(const struct policy_entry *entry)
{
	json_t *texts = json_array();
	for (size_t i = 0; i < json_array_size(entry->warnings); i++)
		json_array_append(texts, json_object_get(json_array_get(entry->warnings, i), "detail"));
	if (json_array_size(texts) > 0)
		return texts;
	json_decref(texts);
	return NULL;
}

uint32_t policy_status_number(const json_t *status, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(status, key));
	return number > 0 && number <= INT32_MAX ? (uint32_t)number : 0;
}

/* What differs from what is there. An absent value is removed. */
static void put(json_t *patch, const json_t *present, const char *key, json_t *value)
{
	const json_t *before = json_object_get(present, key);
	if (value == NULL && before != NULL)
		json_object_set_new(patch, key, json_null());
	else if (value != NULL && !json_equal(before, value))
		json_object_set(patch, key, value);
	json_decref(value);
}

struct sums {
	json_int_t sidecars, in_force;
};

/* A user who may write the status can fill this map; the control plane's replicas have few entries with pods' names. */
enum { REPLICAS_MAX = 64, REPLICA_NAME_MAX = 253 };

static bool is_flooded(json_t *replicas)
{
	const char *name;
	json_t *value;
	if (json_object_size(replicas) > REPLICAS_MAX)
		return true;
	json_object_foreach(replicas, name, value)
	{
		if (strlen(name) > REPLICA_NAME_MAX)
			return true;
	}
	return false;
}

/* This replica's part, and what the others wrote. */
static void put_replicas(
	json_t *patch, const struct policy_entry *entry, const struct policy_replicas *replicas, struct sums *sums)
{
	json_t *present = json_object_get(entry->status, "replicas"), *changes = json_object(), *value, *own = NULL;
	const char *name;
	*sums = (struct sums){entry->counts.sidecars, entry->counts.in_force};
	if (entry->counts.sidecars > 0)
		own = json_pack("{s:i, s:i}", "sidecars", (int)entry->counts.sidecars, "sidecarsInForce",
			(int)entry->counts.in_force);
	if (is_flooded(present)) { /* removed as a whole; every replica writes its own part again */
		json_object_set_new(patch, "replicas", json_null());
		json_decref(own);
		json_decref(changes);
		return;
	}
	put(changes, present, replicas->own, own);
	json_object_foreach(present, name, value)
	{
		if (strcmp(name, replicas->own) == 0)
			continue;
		if (replicas->is_there(replicas->arg, name)) {
			sums->sidecars += policy_status_number(value, "sidecars");
			sums->in_force += policy_status_number(value, "sidecarsInForce");
		} else {
			put(changes, present, name, NULL);
		}
	}
	if (json_object_size(changes) > 0)
		json_object_set(patch, "replicas", changes);
	json_decref(changes);
}

json_t *policy_status_patch(const struct policy_entry *entry, const struct policy_replicas *replicas)
{
	json_t *patch = json_object(), *conflicts = conflicts_of(entry), *whole;
	struct sums sums;
	put(patch, entry->status, "observedGeneration", json_integer(entry->generation));
	put(patch, entry->status, "accepted", json_boolean(is_accepted(entry)));
	put(patch, entry->status, "message", message_of(entry));
	put(patch, entry->status, "warnings", warnings_of(entry));
	put(patch, entry->status, "conflicts", json_array_size(conflicts) == 0 ? NULL : json_incref(conflicts));
	put_replicas(patch, entry, replicas, &sums);
	put(patch, entry->status, "sidecars", json_integer(sums.sidecars));
	put(patch, entry->status, "sidecarsInForce", json_integer(sums.in_force));
	json_decref(conflicts);
	whole = json_object_size(patch) == 0 ? NULL : json_pack("{s:O}", "status", patch);
	json_decref(patch);
	return whole;
}
