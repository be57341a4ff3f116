/* The inbound policy of one workload as data: a mode per port, and allow and deny rules. Immutable once shared,
 * refcounted across threads; each policy has its own generation. Pure. */
#pragma once

#include "base/core/addr.h"
#include "certs/spiffe_id.h"

enum inbound_mode { INBOUND_OFF, INBOUND_PERMISSIVE, INBOUND_STRICT }; /* in order of strictness */
enum outbound_mode { OUTBOUND_OFF, OUTBOUND_AUTO, OUTBOUND_REQUIRE };  /* likewise */

enum source_match_kind { MATCH_ID, MATCH_ID_PREFIX, MATCH_ID_SUFFIX, MATCH_TRUST_DOMAIN, MATCH_NAMESPACE };
struct source_match {
	enum source_match_kind kind;
	char *domain; /* trust domain, all kinds; owned */
	char *path; /* whole ("/a/b"), prefix ("/a"), suffix ("/b"), or the namespace's name; "" for MATCH_TRUST_DOMAIN;
		       owned */
};

struct policy_rule {
	char *name; /* owned */
	bool deny, dry_run;
	bool unauthenticated; /* an allow that sources without identity may use */
	struct source_match *sources;
	size_t num_sources; /* 0: any source */
	struct network *networks;
	size_t num_networks; /* 0: any network */
	uint16_t *ports;
	size_t num_ports; /* 0: any port */
};

struct policy_port {
	uint16_t port;
	enum inbound_mode mode;
};

struct policy {
	unsigned refs;       /* atomic */
	uint64_t generation; /* grows with each policy of the process */
	struct trust_domain own_domain;
	enum inbound_mode default_mode;
	struct policy_port *ports; /* sorted by port */
	size_t num_ports;
	struct policy_rule *rules;
	size_t num_rules;
};

struct policy *policy_new(
	const struct trust_domain *own_domain, enum inbound_mode default_mode);          /* refs 1; fill, then share */
void policy_set_port_mode(struct policy *policy, uint16_t port, enum inbound_mode mode); /* replaces an earlier mode */
struct policy_rule *policy_add_rule(
	struct policy *policy, const char *name); /* allows every source until filled; borrowed until the next call */
enum err policy_rule_add_source(struct policy_rule *rule, enum source_match_kind kind, struct span domain,
	struct span path, struct why *why) _must_use_; /* checks both: ERR_MALFORMED */
void policy_rule_add_network(struct policy_rule *rule, const struct network *network);
void policy_rule_add_port(struct policy_rule *rule, uint16_t port);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_unref)
bool policy_has_port(const struct policy *policy, uint16_t port); /* it has a mode of its own */
enum inbound_mode policy_mode(const struct policy *policy, uint16_t port);
/* The stricter mode of the two per port, and the rules of the first. minimum: the modes in the sidecar's own settings.
 * refs 1. */
struct policy *policy_tighten(const struct policy *from_control, const struct policy *minimum);
