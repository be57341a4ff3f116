/* The policies of a cluster: which objects there are, which are in force, for whom, and how they conflict. Pure.
 *
 * In force are, per namespace, the 32 oldest that are or were valid: an object that became invalid changes nothing that
 * was in force. For one service account a policy that names accounts goes before one of the whole namespace, and of two
 * of a kind the older one goes first; at the same age, by name. Every replica comes to the same result. */
#pragma once

#include "base/core/list.h"
#include "base/core/table.h"
#include "control/distribute/policy_source.h"
#include "control/kube/policy_object.h"

#define POLICIES_MAX           4096 /* objects that are kept, in all; see POLICY_TEXT_MAX */
#define POLICIES_NAMESPACE_MAX 128  /* and per namespace, so that one cannot take the place of the others */
#define POLICY_CHANGED_MAX     256  /* service accounts of a namespace that are noted one by one */

struct policy_namespace {
	struct table_link link;
	struct list policies; /* the one that goes first, first */
	size_t num;
	/* Whom changes since policy_set_settle() concern. */
	bool has_changed_whole;
	char *changed[POLICY_CHANGED_MAX];
	size_t num_changed;
	struct list_link of_set; /* in set->changed, or in none */
	char name[];
};

struct policy_counts {
	unsigned sidecars, in_force;
};

struct policy_entry { /* one object */
	struct list_link of_namespace, of_set;
	struct policy_namespace *namespace_;
	char *name, *uid;
	uint64_t created; /* YYYYMMDDhhmmss */
	int64_t generation;
	json_t *spec;     /* as seen last */
	json_t *status;   /* as the API server has it; NULL: none */
	json_t *warnings; /* of kind and detail (policy_advice.h); NULL: not looked for since the last change */
	struct policy_object object; /* in force, or the last valid one */
	bool has_object, is_in_force;
	struct why refusal;          /* of what was seen last; err ERR_NONE: it is valid */
	bool is_old;                 /* not yet put since policy_set_begin() */
	uint64_t applied;            /* a hash of what kubectl applied; 0: not known */
	struct why dropped;          /* a member of that which the API server does not know; err ERR_NONE: none */
	struct policy_counts counts; /* of this replica's sidecars */
	uint64_t written_ms;         /* when its status was written last; 0: not yet */
	void *write;                 /* of the status, under way; NULL: none; owned by policies.c */
};

struct policy_set {
	const struct trust_domain *trust_domain;
	struct table namespaces;
	struct list entries, changed; /* of struct policy_namespace */
	size_t num;
	/* Before an entry is freed. */
	void (*on_gone)(void *arg, struct policy_entry *entry);
	void *arg;
};

void policy_set_init(struct policy_set *set, const struct trust_domain *trust_domain,
	void (*on_gone)(void *arg, struct policy_entry *entry), void *arg);
void policy_set_done(struct policy_set *set);

/* As a kube_watch reports them. ERR_MALFORMED: no object; ERR_LIMIT: it is not kept. A policy that is not valid is kept
 * with its refusal. */
void policy_set_begin(struct policy_set *set);
enum err policy_set_put(struct policy_set *set, const json_t *object, struct why *why) _must_use_;
void policy_set_deleted(struct policy_set *set, const json_t *object);
void policy_set_synced(struct policy_set *set); /* what was not put since policy_set_begin() is gone */

/* What applies to the workload; arg: the set. */
void policy_set_find(void *arg, const struct spiffe_id *id, struct policy_found *out);
/* Whether changes since the last policy_set_settle() concern the workload; arg: the set. */
bool policy_set_concerns(void *arg, const struct spiffe_id *id);
/* Of a valid policy that is not in force. */
void policy_set_explain_limit(struct why *out);
bool policy_set_has_changed(const struct policy_set *set);
void policy_set_settle(struct policy_set *set);

/* Counts a sidecar of this workload at each policy that is in force for it; arg: the set. */
void policy_set_count(void *arg, const struct spiffe_id *id, bool is_in_force);
