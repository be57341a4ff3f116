/* The herd: its members, what it counts, and what it reads on its standard input. */
#pragma once

#include "base/core/loop.h"
#include "base/tls/tls_context.h"
#include "sidecar/identity/identity_client.h"
#include "test/herd/moments.h"
#include "test/herd/watch.h"

struct herd;

struct member {
	struct herd *herd;
	struct state_folder *state;
	struct identity_client *client;
	struct rpc_client *connection; /* NULL: none */
	struct watch watch;
	char *address, *token_file;
	bool has_svid;
};

struct mesh_part {                    /* what the members do besides holding their identity; num_services 0: nothing */
	unsigned first_number;        /* of this process's first member among all herds */
	unsigned num_services;        /* each member serves one, as long as they have less than 20 endpoints */
	struct ip_addr first_service; /* the address of service 0; port 80 */
};

struct herd {
	struct loop *loop;
	struct tls_context *context;
	struct member *members;
	struct mesh_part mesh;
	struct moments moments;
	bool stays; /* it ends by a command, not when all are there */
	unsigned num, num_svids, num_streams, num_failed, num_issued;
	uint64_t started_ms, deadline_ms;
	struct loop_timer report;
	struct loop_io input;
	char command[256];
	size_t command_len;
	bool is_reported[MOMENTS_NUM];
};

/* member.c */
/* Makes the tokens and the members; the addresses from `first` on are theirs. */
enum err herd_members_make(struct herd *herd, const char *operator_socket, const char *folder,
	const struct ip_addr *first, struct why *why) _must_use_;
unsigned herd_num_claims(const struct herd *herd); /* addresses that are held */

/* commands.c: one per line.
 *     since KIND MILLISECONDS   when all members had that event since then (CLOCK_MONOTONIC), a line reports it; to be
 *                               given before what causes the event
 *     cut NUM                   cuts the connections of the first members
 *     show                      a line with the counts, and how many addresses are claimed
 *     quit */
void herd_commands_start(struct herd *herd);
/* Notes the event, and reports it when all have had it. */
void herd_moment(struct herd *herd, enum moment kind, const struct member *member);
/* One line of JSON with the counts. */
void herd_print(const struct herd *herd, const char *kind);
/* "12" to 12; 0: not a number, or too large. */
uint64_t herd_number(const char *text);
