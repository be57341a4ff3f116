/* Envoy's secret discovery service, version 3: requests parsed, and credentials as secrets. The generated code is used
 * only in sds_messages.c and sds_secret.c. */
#pragma once

#include "certs/credentials.h"

#define SDS_TYPE_URL    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
#define SDS_REQUEST_MAX (256u * 1024) /* Envoy's node names each of its extensions */
#define SDS_NAMES_MAX   16            /* per stream; Envoy opens a stream per secret */
#define SDS_NAME_MAX    2048          /* bytes; a SPIFFE ID */
#define SDS_TEXT_MAX    256

struct sds_names { /* owned; zeroed is empty */
	char *texts[SDS_NAMES_MAX];
	size_t num;
};
void sds_names_done(struct sds_names *names);
bool sds_names_eq(const struct sds_names *a, const struct sds_names *b);

/* What a validation context has, by the metadata of the node. By domain: Envoy's SPIFFE validator, which judges each
 * certificate by the roots of its trust domain and knows no revocation lists. Roots: for a node that has
 * disable_spiffe_cert_validation. And lists: for one that also has check_leaf_crl; Envoy then demands a list of the
 * issuer of each leaf. */
enum sds_validation { SDS_BY_DOMAIN, SDS_ROOTS, SDS_ROOTS_AND_LISTS };

struct sds_request { /* zeroed is valid to sds_request_done() */
	struct sds_names names;
	char nonce[32];             /* of the answer that this one is about; "": none; cut */
	bool is_refusal;            /* error_detail is there: the answer was not taken over */
	char refusal[SDS_TEXT_MAX]; /* cut */
	bool is_other_type;         /* it asks for something else than secrets */
	enum sds_validation wants;  /* by the node's metadata; SDS_BY_DOMAIN if it has none */
};
void sds_request_done(struct sds_request *request);
/* ERR_MALFORMED, ERR_TOO_LARGE: no such message, or too many names. */
enum err sds_request_parse(struct span bytes, struct sds_request *out, struct why *why) _must_use_;

struct sds_answer { /* borrowed */
	const struct sds_names *names;
	enum sds_validation validation;
	const char *version, *nonce;
};
/* DiscoveryResponse with a secret per name: `default` and the own SPIFFE ID are the SVID with its key (the caller wipes
 * *out); `ROOTCA`, a trust domain and its SPIFFE ID are what its certificates are validated by; `ALL` is the same for
 * all trust domains. ERR_NOT_FOUND: a name is none of these. ERR_LIMIT: it does not fit. */
enum err sds_answer_encode(const struct credentials *credentials, const struct sds_answer *answer, struct buf *out,
	struct why *why) _must_use_;
