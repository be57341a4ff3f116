/* The control plane's listeners: the streams port (TLS; Enrollment, Identity, Discovery) and the operator's Unix
 * socket. */
#pragma once

#include "base/core/buf.h"
#include "base/core/metrics.h"
#include "control/attest/attest.h"
#include "control/distribute/distribute.h"
#include "control/issue/issuer.h"
#include "control/registry/registry.h"
#include "control/serve/server_identity.h"
#include "control/serve/trust.h"

struct serve;

#define SERVE_OPERATORS_MAX 16 /* connections of operators at once */

struct serve_authority { /* for status; DER copied */
	const char *kind;
	struct span der;
	int64_t not_before_s, not_after_s;
};

struct settings_record;
struct serve_options { /* everything borrowed */
	struct loop *loop;
	struct store *store;
	struct registry *registry;
	struct distributor *distributor;
	struct attest *attest;
	struct issuer *issuer;
	struct trust *trust;
	struct server_identity *identity;
	struct metric_shard *metrics;
	int64_t leaf_ttl_s;
	int64_t forget_after_s; /* attestation keys, after the end of their last certificate */
	uint32_t attest_per_second;
	uint32_t max_connections, max_handshakes; /* at the streams port */
	const char *release;
	struct settings_record *const *settings; /* those in force; a reload replaces them */
	const struct serve_authority *authorities;
	size_t num_authorities;
	int streams_fd, operator_fd; /* listening; adopted */
};

struct serve *serve_new(const struct serve_options *options);
void serve_free(struct serve *serve);
void serve_set_leaf_ttl(struct serve *serve, int64_t leaf_ttl_s);
void serve_trust_changed(
	struct serve *serve); /* sends the trust state, and closes the connections of banned identities */
/* For the registry's observer: refused claims of this address are tried again. NULL: of all addresses. */
void serve_address_freed(struct serve *serve, const struct ip_addr *ip);
void serve_drain(struct serve *serve); /* no new connections; GOAWAY */
bool serve_is_drained(const struct serve *serve);
unsigned serve_num_streams(const struct serve *serve);
unsigned serve_num_connections(const struct serve *serve); /* to the streams port */
void serve_scrape(const struct serve *serve);              /* sets the gauges of the listeners */
/* Appends a line per obstacle to readiness; pages.h. */
void serve_list_obstacles(const struct serve *serve, struct buf *out);

/* Conditions that degrade the control plane without stopping it. */
enum serve_condition {
	SERVE_CONDITION_STORE,
	SERVE_CONDITION_ROOT,
	SERVE_CONDITION_BOOTSTRAP_ROOT,
	SERVE_CONDITIONS_NUM
};
const char *serve_condition_name(enum serve_condition condition); /* "root_ends": for metrics, pages and alerts */
typedef void serve_condition_fn(void *arg, enum serve_condition condition, const struct why *why);
void serve_each_condition(const struct serve *serve, serve_condition_fn *each, void *arg);
void serve_list_conditions(const struct serve *serve, struct buf *out); /* a line "degraded: NAME: ..." per condition */
