/* Shared by the files of this folder. */
#pragma once

#include "certs/verify_machine.h"
#include "control/attest/attest.h"
#include "control/attest/join_token.h"
#include <sys/types.h>

/* A file as it was when it was read last. */
struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	int64_t changed_s, changed_ns;
};

struct attest {
	struct loop *loop;
	struct store *store;
	struct trust_domain domain;
	struct attest_kubernetes kubernetes; /* review NULL: none */
	const struct workload_entry *entries;
	size_t num_entries;
	struct {
		struct entry_count {
			size_t num;
			uint64_t versions; /* their sum */
		} count;
		struct workload_entry *entries; /* those that were understood */
		size_t num;
	} stored;
	struct {
		const char *roots_path, *crl_path; /* NULL: none */
		struct file_stamp roots_stamp, crl_stamp;
		struct web_roots *roots; /* NULL: not read, or damaged */
		struct machine_crls *crls;
		struct why trouble; /* as logged; err ERR_NONE: they could be read */
	} x509;
};

struct check { /* one request until its answer */
	struct attest *attest;
	struct ip_addr source;
	uint8_t token_id[JOIN_TOKEN_ID_LEN];
	struct buf secret, spki;
	uint8_t key_hash[DIGEST_LEN];
	struct svid_holder svid_holder;
	struct spiffe_id own; /* of a renewal; unset: enrollment. Kept for Kubernetes alone */
	bool is_recorded;
	int64_t ttl_s;
	attest_done_fn *on_done;
	void *arg;
	struct loop_task later;
	enum err err;
	struct why detail;
};

#define TOKEN_KEY_PREFIX "token/"
#define TOKEN_KEY_LEN    (sizeof TOKEN_KEY_PREFIX + 2 * JOIN_TOKEN_ID_LEN)
void attest_token_key(const uint8_t id[JOIN_TOKEN_ID_LEN], char out[TOKEN_KEY_LEN]);
int64_t attest_now_s(const struct attest *attest);

/* attest.c */
enum err attest_check_not_banned(struct check *check) _must_use_;
/* W20: a stream renews its own identity only. own NULL: enrollment. */
enum err attest_check_own(struct check *check, const struct spiffe_id *own, const char *what) _must_use_;

/* entries.c */
void attest_entries_done(struct attest *attest);
/* The entry that decides for these facts; borrowed until the next change. ERR_DENIED: none, or they contradict each
 * other. */
enum err attest_choose(struct attest *attest, const struct selector_set *facts, const struct workload_entry **out,
	struct why *why) _must_use_;

/* by_entry.c: what was proven makes the identity, by an entry. The attestation key only ties the request to its
 * connection: its record is for status, rotations and claims, and attests nothing without the proof. */
enum err attest_by_facts(struct check *check, const struct selector_set *facts, enum svid_holder_by by,
	const struct spiffe_id *own) _must_use_;

enum err attest_by_unix(struct check *check, const struct attest_request *request) _must_use_;

/* by_x509.c */
enum err attest_by_x509(struct check *check, const struct attest_request *request) _must_use_;
void attest_x509_done(struct attest *attest);
