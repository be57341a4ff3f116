/* Operator messages as plain structs; the only file of the control plane that uses their generated code. Pure. */
#pragma once

#include "certs/bundle.h"
#include "control/attest/attest.h"
#include "control/attest/join_token.h"

#define OPERATOR_NETWORKS_MAX 16

struct token_request { /* TokenCreateRequest */
	char id[SPIFFE_ID_MAX + 1];
	size_t id_len;
	int64_t ttl_s;
	struct network networks[OPERATOR_NETWORKS_MAX];
	size_t num_networks;
};
enum err token_request_parse(struct span bytes, struct token_request *out, struct why *why) _must_use_;
enum err token_answer_encode(struct span line, struct span id, int64_t expires_ms, struct buf *out) _must_use_;
enum err revoke_request_parse(struct span bytes, uint8_t out[JOIN_TOKEN_ID_LEN], struct why *why) _must_use_;
enum err revoke_answer_encode(
	bool was_there, bool was_used, const struct spiffe_id *id, struct buf *out) _must_use_; /* id NULL: none */

enum err ban_request_parse(struct span bytes, struct spiffe_id *out, struct why *why) _must_use_;
enum err ban_answer_encode(uint32_t num_svid_holders, uint32_t num_tokens, struct buf *out) _must_use_;
enum err unban_request_parse(struct span bytes, struct spiffe_id *out, struct why *why) _must_use_;
enum err unban_answer_encode(bool was_banned, struct buf *out) _must_use_;

/* Answers of many rows (operator_lists.c): added rows are copied. */
struct token_list;
struct token_list *token_list_new(void);
void token_list_free(struct token_list *list);
DEFINE_CLEANUP(struct token_list *, token_list_free)
void token_list_add(struct token_list *list, struct span id, const struct join_token *token);
enum err token_list_encode(struct token_list *list, struct buf *out) _must_use_;

struct ban_list;
struct ban_list *ban_list_new(void);
void ban_list_free(struct ban_list *list);
DEFINE_CLEANUP(struct ban_list *, ban_list_free)
void ban_list_add(struct ban_list *list, struct span id, int64_t since_ms); /* in the order of their ids */
void ban_list_count(struct ban_list *list, struct span id);                 /* one SVID holder of that identity */
enum err ban_list_encode(struct ban_list *list, struct buf *out) _must_use_;
enum err release_request_parse(struct span bytes, struct ip_addr *out, struct why *why) _must_use_;
enum err release_answer_encode(bool was_held, struct buf *out) _must_use_;

#define STATUS_ADDRESSES_MAX 16 /* as many as one key may claim */
struct status_svid_holder {
	const char *id; /* borrowed */
	uint8_t key_hash[DIGEST_LEN];
	struct ip_addr addresses[STATUS_ADDRESSES_MAX];
	size_t num_addresses;
	bool is_connected, is_banned, is_copied;
	int64_t not_after_ms;
	struct span serial;
	struct epoch acked;
	const char *release;
};
struct status_authority {
	const char *kind;
	struct span der;
	int64_t not_before_ms, not_after_ms;
};
struct status_condition {
	const char *name;
	struct why detail;
};
#define STATUS_CONDITIONS_MAX 8

struct status {
	struct status_condition conditions[STATUS_CONDITIONS_MAX];
	size_t num_conditions;
	const char *release, *trust_domain;
	struct epoch epoch;
	uint32_t num_streams;
	const struct status_svid_holder *svid_holders;
	size_t num_svid_holders;
	const struct status_authority *authorities;
	size_t num_authorities;
	uint64_t svids_issued;
	int64_t server_time_ms, started_ms;
};
enum err status_encode(const struct status *status, struct buf *out) _must_use_;
