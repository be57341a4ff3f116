/* Entries: which attested facts make which identity. A fact is a text such as "x509:san:dns:db1.example"; an entry
 * lists facts that must all be there (its selectors), and names the SPIFFE ID that follows (decision 072). Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include "certs/spiffe_id.h"
#include <stdbool.h>

#define WORKLOAD_ENTRY_NAME_MAX      64
#define WORKLOAD_ENTRY_SELECTORS_MAX 16
#define WORKLOAD_SELECTOR_MAX        512 /* bytes */
#define WORKLOAD_ENTRY_TTL_MAX_S     (7 * 86400)

/* Texts in order, each once: a set that is compared in one pass. */
struct selector_set { /* zeroed is empty */
	char **texts;
	size_t num, cap;
};
void selector_set_add(struct selector_set *set, struct span text);
void selector_set_done(struct selector_set *set);
bool selector_set_has_all(const struct selector_set *set, const struct selector_set *wanted);

struct workload_entry { /* zeroed is valid to workload_entry_done() */
	char *name;
	struct spiffe_id id;
	struct selector_set selectors;
	int64_t ttl_s; /* of its certificates, at most identity.leaf_ttl; 0: that */
};
void workload_entry_done(struct workload_entry *entry);

/* 1 to 64 of a-z, 0-9, '.', '_' and '-'. */
enum err workload_entry_name_check(struct span name, struct why *why) _must_use_;
/* Adds a selector: of a known kind, with a value in the form in which facts are compared. ERR_MALFORMED, ERR_LIMIT. */
enum err workload_entry_add_selector(struct workload_entry *entry, struct span text, struct why *why) _must_use_;
/* The entry as a whole: a name, at least one selector, all of one kind of attestation; an identity of the trust domain
 * that a workload may have; a lifetime of 0 or 2 s to 7 d. ERR_CONFIG. */
enum err workload_entry_check(
	const struct workload_entry *entry, const struct trust_domain *domain, struct why *why) _must_use_;
/* Two entries can stand beside each other: not the same selectors for different identities. ERR_EXISTS. */
enum err workload_entry_check_beside(
	const struct workload_entry *entry, const struct workload_entry *other, struct why *why) _must_use_;

/* Which of the entries decides for these facts: of those whose selectors are all among them, the one with the most.
 * Each other one must give the same identity, or have only selectors that this one has too. */
struct workload_choice {
	const struct selector_set *facts;  /* borrowed */
	const struct workload_entry *best; /* NULL: none */
};
/* First each entry for the best one, then each again. */
void workload_choice_consider(struct workload_choice *choice, const struct workload_entry *entry);
/* ERR_DENIED: it matches too and contradicts the best one. */
enum err workload_choice_confirm(
	const struct workload_choice *choice, const struct workload_entry *entry, struct why *why) _must_use_;
