/* Operator messages as plain structs; the only file of the control plane that uses their generated code. Pure. */
#pragma once

#include "base/health/sidecar_health.h"
#include "certs/bundle.h"
#include "control/attest/attest.h"
#include "control/attest/join_token.h"
#include "control/config/config.h"
#include "control/distribute/policy_source.h"
#include "control/federate/federation.h"

#define OPERATOR_NETWORKS_MAX 16

struct pb_arena;

struct reach { /* Reach: of a change of the trust state */
	bool is_known;
	uint32_t num_connected, num_acknowledged; /* sidecars */
};

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
enum err ban_answer_encode(uint32_t num_svid_holders, uint32_t num_tokens, bool is_unknown, const struct reach *reach,
	struct buf *out) _must_use_;
enum err unban_request_parse(struct span bytes, struct spiffe_id *out, struct why *why) _must_use_;
enum err unban_answer_encode(bool was_banned, const struct reach *reach, struct buf *out) _must_use_;

/* Answers of many rows (operator_lists.c): added rows are copied. */
struct token_list;
struct token_list *token_list_new(void);
void token_list_free(struct token_list *list);
DEFINE_CLEANUP(struct token_list *, token_list_free)
void token_list_add(struct token_list *list, struct span id, const struct join_token *token);
enum err token_list_encode(struct token_list *list, struct buf *out) _must_use_;

/* out: the caller calls workload_entry_done() in any case. */
enum err entry_create_request_parse(struct span bytes, struct workload_entry *out, struct why *why) _must_use_;
enum err entry_delete_request_parse(
	struct span bytes, char out[WORKLOAD_ENTRY_NAME_MAX + 1], struct why *why) _must_use_;
struct entry_list;
struct entry_list *entry_list_new(void);
void entry_list_free(struct entry_list *list);
DEFINE_CLEANUP(struct entry_list *, entry_list_free)
void entry_list_add(struct entry_list *list, const struct workload_entry *entry, bool is_stored); /* borrowed */
enum err entry_list_encode(const struct entry_list *list, struct buf *out) _must_use_;

struct ban_list;
struct ban_list *ban_list_new(void);
void ban_list_free(struct ban_list *list);
DEFINE_CLEANUP(struct ban_list *, ban_list_free)
void ban_list_add(struct ban_list *list, struct span id, int64_t since_ms); /* in the order of their ids */
void ban_list_count(struct ban_list *list, struct span id);                 /* one SVID holder of that identity */
enum err ban_list_encode(struct ban_list *list, struct buf *out) _must_use_;
enum err release_request_parse(struct span bytes, struct ip_addr *out, struct why *why) _must_use_;
enum err release_answer_encode(bool was_held, bool was_connected, struct buf *out) _must_use_;

#define STATUS_ADDRESSES_MAX 16 /* as many as one key may claim */
struct status_svid_holder {
	const char *id; /* borrowed */
	uint8_t key_hash[DIGEST_LEN];
	struct ip_addr addresses[STATUS_ADDRESSES_MAX];
	size_t num_addresses;
	bool is_connected, is_banned, is_copied, is_draining;
	struct sidecar_health health;
	int64_t not_after_ms;
	struct span serial;
	struct epoch acked;
	const char *release;
	/* Of the stream that release, acked, is_draining and health are of; 0: none has been seen. Not sent. */
	uint64_t stream_since_ms;
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
	size_t num_left_out, num_connected; /* without a row; with a stream, of all of them */
	const struct status_authority *authorities;
	size_t num_authorities;
	uint64_t svids_issued;
	int64_t server_time_ms, started_ms;
};
enum err status_encode(const struct status *status, struct buf *out) _must_use_;

/* operator_ca_messages.c */
#define CA_WAITED_MAX   100
#define CA_REPLICAS_MAX 16
struct ca_waited {
	struct spiffe_id id; /* owned */
	bool is_connected;
	int64_t not_after_ms;
	char release[65];
	struct ip_addr source;
};
struct ca_root {
	uint8_t sha256[DIGEST_LEN];
	const char *role;
	int64_t not_before_ms, not_after_ms;
};
struct ca_status { /* zeroed is valid to ca_status_done() */
	const char *phase;
	uint64_t number;
	int64_t began_ms, phase_began_ms;
	bool is_forced;
	uint32_t num_waited; /* all of them */
	int64_t unrecorded_until_ms, partners_until_ms;
	struct ca_waited waited[CA_WAITED_MAX];
	size_t num_shown;
	struct ca_root roots[32];
	size_t num_roots;
	char replicas[CA_REPLICAS_MAX][256]; /* names of those that are waited for, the first ones */
	uint32_t num_replicas;               /* all of them */
	uint32_t num_tokens; /* of the bootstrap root alone: unused ones with the pin of the former one */
	struct reach reach;  /* of a root that is withdrawn at once */
};
void ca_status_done(struct ca_status *status);
enum err ca_status_encode(
	const struct ca_status *status, const struct ca_status *bootstrap, struct buf *out) _must_use_;
struct ca_rotate_request {
	bool is_forced, is_compromised, is_bootstrap;
};
enum err ca_csr_encode(struct span csr_der, struct buf *out) _must_use_;
/* The lists of that trust domain, in PEM. */
#define CA_CRL_RESPONSE_MAX (8u << 20)
enum err ca_crl_encode(const struct bundle_set *bundles, struct span trust_domain, struct buf *out) _must_use_;
/* Borrowed from *arena, which the caller frees. */
enum err ca_import_request_parse(
	struct span bytes, struct pb_arena **arena, struct span *out_pem, struct why *why) _must_use_;
enum err ca_abort_request_parse(struct span bytes, bool *out_is_bootstrap, struct why *why) _must_use_;
enum err ca_retire_request_parse(struct span bytes, bool *out_is_forced, struct why *why) _must_use_;
enum err ca_rotate_request_parse(struct span bytes, struct ca_rotate_request *out, struct why *why) _must_use_;

/* operator_policy_messages.c */
struct policy_answer {
	const char *trust_domain;
	struct span policy; /* discovery.proto's */
	uint32_t num_sidecars, num_in_force;
};
struct policy_section {
	const struct config_workload *workload; /* borrowed; NULL: an object that was never valid */
	uint32_t num_sidecars, num_in_force;
	/* Of an object, copied by policy_list_add_object(). */
	char *object, *refusal; /* NULL: a section of the settings; accepted */
	char **accounts;
	size_t num_accounts;
};
enum err policy_show_request_parse(struct span bytes, struct spiffe_id *out, struct why *why) _must_use_;
enum err policy_show_encode(const struct policy_answer *answer, struct buf *out) _must_use_;
struct policy_list { /* borrowed; policy_list_done() frees what was added */
	enum port_mode default_mode;
	struct policy_section *sections; /* owned */
	size_t num_sections;
	struct policy_list_warning *warnings;
	size_t num_warnings, num_more_warnings; /* num_more_warnings: that are left out */
};
void policy_list_add_section(struct policy_list *list, const struct config_workload *workload);
/* Its workload is borrowed. */
void policy_list_add_object(struct policy_list *list, const struct policy_listed *object);
/* Copied; past 1000 of them they are counted, and the encoded list has their number. */
void policy_list_add_warning(struct policy_list *list, const char *selector, const char *kind, const struct why *why);
enum err policy_list_encode(struct policy_list *list, struct buf *out) _must_use_;
void policy_list_done(struct policy_list *list);

struct revoke_request {
	bool is_intermediate;
	uint8_t serial[20];
	size_t serial_len;
};
enum err revoke_serial_request_parse(struct span bytes, struct revoke_request *out, struct why *why) _must_use_;
struct revoke_answer {
	struct span serial, id; /* id empty: not known */
	int64_t until_ms;
	bool was_revoked;
	bool is_unknown; /* no certificate that is known has it */
	struct reach reach;
};
enum err revoke_serial_answer_encode(const struct revoke_answer *answer, struct buf *out) _must_use_;

/* FederationListResponse; `only`: of that trust domain; empty: of all. */
enum err federation_list_encode(
	const struct federation *federation, struct span only, const struct reach *reach, struct buf *out) _must_use_;
struct federation_request { /* spans live in the arena; zeroed is valid to federation_request_done() */
	struct pb_arena *arena;
	struct span trust_domain, bundle; /* bundle empty: fetch */
	bool any_sequence;
};
enum err federation_request_parse(struct span bytes, struct federation_request *out, struct why *why) _must_use_;
void federation_request_done(struct federation_request *request);
