/* What may enter, as data: modes a port and allow/deny rules. Immutable, refcounted; a generation tells two apart.
 * Pure. */
#pragma once

#include "base/core/addr.h"
#include "certs/spiffe_id.h"

enum inbound_mode { INBOUND_OFF, INBOUND_PERMISSIVE, INBOUND_STRICT }; /* in order of strictness */
enum outbound_mode { OUTBOUND_OFF, OUTBOUND_AUTO, OUTBOUND_REQUIRE };

enum source_match_kind { MATCH_ID, MATCH_ID_PREFIX, MATCH_ID_SUFFIX, MATCH_TRUST_DOMAIN, MATCH_NAMESPACE };
struct source_match {
	enum source_match_kind kind;
	struct trust_domain domain; /* all kinds */
	char *path; /* of the ID: whole ("/a/b"), prefix ("/a"), suffix ("/b"); the namespace's name; NULL: none. Owned
		     */
};

struct policy_rule {
	char *name; /* owned */
	bool deny, dry_run, unauthenticated;
	struct source_match *sources;
	size_t num_sources;
	struct network *networks;
	size_t num_networks;
	uint16_t *ports;
	size_t num_ports;
};

struct policy {
	unsigned refs;
	uint64_t generation; /* grows with each policy of the process */
	struct trust_domain own_domain;
	enum inbound_mode default_mode;
	uint8_t *port_modes; /* sparse: see policy_mode(); NULL: none */
	struct policy_rule *rules;
	size_t num_rules;
};

struct policy *policy_new(
	const struct trust_domain *own_domain, enum inbound_mode default_mode); /* refs 1; fill, then share */
void policy_set_port_mode(struct policy *policy, uint16_t port, enum inbound_mode mode);
struct policy_rule *policy_add_rule(struct policy *policy, const char *name); /* borrowed until the next call */
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_unref)
enum inbound_mode policy_mode(const struct policy *policy, uint16_t port);
/* The stricter of the two, port by port: a sidecar's own settings are floors. New policy, refs 1. */
struct policy *policy_tighten(const struct policy *from_control, const struct policy *floor);
