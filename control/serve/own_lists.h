/* Keeps the revocation lists of the signer's authorities fresh: of its intermediate, of the one before, and of the root
 * if its key is there. Each names every revoked certificate that has not expired; serials are random, so that one which
 * another authority has issued does no harm. Verifiers of others than Handfast need them (Workload API, secret
 * discovery, handfast ca crl); sidecars have the serials themselves. */
#pragma once

#include "control/issue/issuer.h"
#include "control/serve/own_list.h"

#define OWN_LISTS_ASKED_MAX 64

struct own_lists { /* embedded; zeroed is valid to own_lists_stop() */
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	struct issuer_request *request; /* NULL: none under way */
	struct own_list asked;          /* of the request under way; without its DER */
	uint64_t asked_version;         /* of its record; 0: there is none */
	struct store_watch watch;       /* of revocations */
	struct buf entries;
	uint8_t content[DIGEST_LEN]; /* of the entries */
	size_t num_left_out;         /* revoked certificates that the lists have no room for */
	uint64_t last_number;        /* that was asked for */
	bool is_changed;             /* the entries must be collected anew */
	bool is_full;                /* the store has as many lists as it may, and one of ours is missing */
	uint64_t retry_ms;           /* after a failure */
	uint64_t settled_ms;         /* after a revocation: what else belongs to it has happened */
	struct loop_timer next;      /* after an answer: others may be due */
	void (*on_turn)(void *arg);  /* calls own_lists_poll() */
	void *arg;
	/* Authorities whose key is another signer's, or that may sign no lists: not asked again. */
	uint8_t foreign[OWN_LISTS_ASKED_MAX][DIGEST_LEN];
	size_t num_foreign;
};
struct own_lists_options { /* borrowed */
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	void (*on_turn)(void *arg); /* calls own_lists_poll() */
	void *arg;
};
void own_lists_start(struct own_lists *lists, const struct own_lists_options *options);
void own_lists_stop(struct own_lists *lists);
/* About once per second, and in on_turn(). authorities: certificates (DER) of the root and of the intermediate in use;
 * an empty one is passed over. leaf_ttl_s: the longest life of a leaf; a list lives twice as long and is made anew
 * before it is half that old, so that without a control plane no leaf outlives the last list of its issuer. */
void own_lists_poll(struct own_lists *lists, const struct span *authorities, size_t num, int64_t leaf_ttl_s);
/* What is missing in the lists. False: nothing. */
bool own_lists_trouble(const struct own_lists *lists, struct why *why);
