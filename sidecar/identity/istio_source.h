/* The workload's identity from an Istio CA (istiod's), in place of the control plane's enrollment: one call of
 * CreateCertificate over server-authenticated TLS per certificate, each with a new key, and with the service account
 * token as it is in its file then. Renewals and retries are at the times of renew.h. An answer is verified before
 * anything changes; without the CA the last identity stays until its notAfter (decision 089). Main thread only. */
#pragma once

#include "sidecar/identity/source_identity.h"

struct istio_settings { /* plain, borrowed */
	const char *host;
	uint16_t port;
	const char *server_name; /* what the CA's certificate must be for; NULL: host */
	const char *root_file;   /* PEM: what the CA's certificate is verified with; read at each call */
	const char *token_file;  /* read at each call, since a projected token is replaced */
	const char *cluster;     /* which of the clusters of the CA checks the token */
	const char *spiffe_id;   /* to ask for; NULL: that of the token */
	uint64_t ttl_s;          /* to ask for; the CA decides */
};

struct istio_source;

struct istio_source_options { /* all borrowed */
	struct loop *loop;
	struct istio_settings ca;
	struct trust_domain trust_domain;
	struct source_callbacks callbacks;
};

struct istio_source *istio_source_new(const struct istio_source_options *options);
void istio_source_start(struct istio_source *source);
void istio_source_free(struct istio_source *source); /* NULL is allowed */
/* What it has given; `failure`: why the last call did not give one. Borrowed. */
const struct source_identity *istio_source_identity(const struct istio_source *source);
