/* The control plane's doors: the streams port (TLS; Enrollment, Identity, Discovery) and the operator's Unix socket. */
#pragma once

#include "base/core/metrics.h"
#include "control/attest/attest.h"
#include "control/distribute/distribute.h"
#include "control/issue/issuer.h"
#include "control/registry/registry.h"
#include "control/serve/server_identity.h"
#include "control/serve/trust.h"

struct serve;

struct serve_authority { /* for status; DER copied */
	const char *kind;
	struct span der;
	int64_t not_before_s, not_after_s;
};

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
	uint32_t attest_per_second;
	const char *release;
	const struct serve_authority *authorities;
	size_t num_authorities;
	int streams_fd, operator_fd; /* listening; adopted */
};

struct serve *serve_new(const struct serve_options *options);
void serve_free(struct serve *serve);
void serve_set_leaf_ttl(struct serve *serve, int64_t leaf_ttl_s);
void serve_trust_changed(struct serve *serve); /* pushes it, and cuts who is banned now */
void serve_drain(struct serve *serve);         /* no new connections; GOAWAY */
bool serve_is_drained(const struct serve *serve);
unsigned serve_num_streams(const struct serve *serve);
