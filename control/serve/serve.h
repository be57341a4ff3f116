/* The control plane's listeners: the streams port (TLS; Enrollment, Identity, Discovery), the operator's Unix socket,
 * and in Kubernetes the operator's port. */
#pragma once

#include "base/core/buf.h"
#include "base/core/metrics.h"
#include "base/tls/key_exchange.h"
#include "control/attest/attest.h"
#include "control/ca_source/ca_source.h"
#include "control/distribute/distribute.h"
#include "control/issue/issuer.h"
#include "control/registry/registry.h"
#include "control/serve/other_roots.h"
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
	struct rotation *rotation;
	struct federation *federation; /* NULL: without its commands, in tests */
	struct bootstrap *bootstrap;
	struct ca_source *ca_source; /* NULL: the signer, or what operators import, signs intermediates */
	struct server_identity *identity;
	struct other_roots *other_roots; /* NULL: none */
	struct crl_files *lists;         /* NULL: none */
	const struct why *page_trouble;  /* why there is no operators' page; NULL or no error: none is lacking */
	struct metric_shard *metrics;
	bool has_unrecorded; /* pods get certificates without a record: see grant.c */
	/* Of several control planes on one store: the name of this one, and whether one of that name is there. NULL: it
	 * is alone. */
	const char *replica;
	bool (*is_replica)(void *arg, const char *name);
	void *replicas_arg;
	int64_t leaf_ttl_s;
	int64_t publish_s;      /* partners fetch a next root within it, before it signs; 0: there are no partners */
	int64_t forget_after_s; /* attestation keys, after the end of their last certificate */
	uint32_t report_each_s; /* sidecars report whom they talk to; 0: they do not */
	uint32_t attest_per_second;
	uint32_t max_connections, max_handshakes; /* at the streams port */
	struct key_exchange_list key_exchanges;   /* likewise; none: the default */
	const char *release;
	struct settings_record *const *settings; /* those in force; a reload replaces them */
	const struct serve_authority *authorities;
	size_t num_authorities;
	int streams_fd, operator_fd; /* listening; adopted */
	int streams_unix_fd;         /* the same as streams_fd, on a Unix socket; adopted; -1: none */
	int operator_port_fd;        /* listening on 127.0.0.1; adopted; -1: none */
	int tcp_table_fd;            /* for that port; adopted */
};

struct serve *serve_new(const struct serve_options *options);
void serve_free(struct serve *serve);
void serve_set_leaf_ttl(struct serve *serve, int64_t leaf_ttl_s);
void serve_trust_changed(
	struct serve *serve); /* sends the trust state, and closes the connections of banned identities */
/* The signer uses another bootstrap root, or a chain with or without the former one. */
void serve_bootstrap_replaced(struct serve *serve, const struct issued *authorities);
/* The signer uses another root: sidecars with certificates below the former one are asked to renew. */
void serve_root_replaced(struct serve *serve, const struct issued *authorities);
/* For the registry's observer: refused claims of this address are tried again. NULL: of all addresses. */
void serve_address_freed(struct serve *serve, const struct ip_addr *ip);
void serve_drain(struct serve *serve); /* no new connections; GOAWAY */
bool serve_is_drained(const struct serve *serve);
unsigned serve_num_streams(const struct serve *serve);
unsigned serve_num_connections(const struct serve *serve); /* to the streams port */
void serve_scrape(const struct serve *serve);              /* sets the gauges of the listeners */
/* Appends a line per obstacle to readiness; pages.h. */
void serve_list_obstacles(const struct serve *serve, struct buf *out);

/* Appends what the operators' page shows, as one JSON object. ERR_LIMIT: no room. */
enum err serve_put_state(const struct serve *serve, struct buf *out) _must_use_;

/* Every certificate of the control plane, and every root of the mesh. kind: "server", "intermediate", "root",
 * "next_bootstrap_root" and so on, as the label of control_certificate_metrics. */
typedef void serve_certificate_fn(void *arg, const char *kind, struct span der);
void serve_each_certificate(const struct serve *serve, serve_certificate_fn *each, void *arg);
#define SERVE_CERTIFICATES_MAX 32

/* Conditions that degrade the control plane without stopping it. */
enum serve_condition {
	SERVE_CONDITION_STORE,
	SERVE_CONDITION_ROOT,
	SERVE_CONDITION_BOOTSTRAP_ROOT,
	SERVE_CONDITION_INTERMEDIATE,
	SERVE_CONDITION_SERVER,
	SERVE_CONDITION_OWN_AUTHORITY,
	SERVE_CONDITION_LISTS,
	SERVE_CONDITION_PAGE,
	SERVE_CONDITIONS_NUM
};
const char *serve_condition_name(enum serve_condition condition); /* "root_ends": for metrics, pages and alerts */
typedef void serve_condition_fn(void *arg, enum serve_condition condition, const struct why *why);
void serve_each_condition(const struct serve *serve, serve_condition_fn *each, void *arg);
void serve_list_conditions(const struct serve *serve, struct buf *out); /* a line "degraded: NAME: ..." per condition */
