/* Which keys of bootstrap root and root belong to this mesh, in Kubernetes (decision 046). Their Secret is no proof:
 * who may create Secrets can plant one where it is missing (abuse case K18). So keys that are made are recorded before
 * their Secret is created, in `authority/made/` and the root's SHA-256, and the control plane records those that it
 * serves, in `authority/known`.
 *
 * Each function but the first two asks the API server, and runs the loop until its answer. ERR_DENIED: the role lacks a
 * rule; others as of kube_request_start(). */
#pragma once

#include "base/kube/kube_client.h"
#include "certs/digest.h"

#define KEY_RECORDS_KNOWN "authority/known"

struct key_hashes { /* SHA-256 of the certificates, DER */
	uint8_t bootstrap[DIGEST_LEN], root[DIGEST_LEN];
};
void key_hashes_of(struct span bootstrap, struct span root, struct key_hashes *out);
/* The value of such a record: at most 256 bytes. */
enum err key_hashes_encode(const struct key_hashes *hashes, struct buf *out) _must_use_;

struct key_records { /* borrowed */
	struct loop *loop;
	struct kube_client *client;
	const char *namespace_name;
};

/* ERR_STATE_DAMAGED: there are records of a mesh, beside which no new keys may be made. */
enum err key_records_expect_none(const struct key_records *records, struct why *why) _must_use_;
enum err key_records_add(
	const struct key_records *records, const struct key_hashes *hashes, struct why *why) _must_use_;
/* Takes that back. A record that stays does no harm: it names keys that are gone. */
void key_records_remove(const struct key_records *records, const struct key_hashes *hashes);
/* ERR_STATE_DAMAGED: the mesh has other keys. ERR_NOT_FOUND: no record names these. */
enum err key_records_judge(
	const struct key_records *records, const struct key_hashes *hashes, struct why *why) _must_use_;
