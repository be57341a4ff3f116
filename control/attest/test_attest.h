/* For tests: attestation with a real store, a clock that the test sets, and one join token. */
#pragma once

#include "base/core/clock.h"
#include "certs/private_key.h"
#include "control/attest/attest.h"

#define TEST_ID "spiffe://td/ns/a"

struct world {
	char folder[64], path[80];
	struct clock_fake clock;
	struct loop *loop;
	struct store *store;
	struct attest *attest;
	struct buf token_id, secret; /* of the token made last */
	unsigned num_done, num_good;
	enum err err;
	char id[128];
	bool is_recorded;
	struct why detail;
};

/* Fixtures for cmocka: *state is the world, with a token for TEST_ID. */
int world_set_up(void **state);
int world_tear_down(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

struct spiffe_id world_id(const char *text);
void world_wait_for(struct world *world, unsigned num_done);
void world_make_token(struct world *world, const char *id);
/* The callback of a token: keeps its id and its secret, and counts it as done. */
void world_on_token(void *arg, enum err err, struct span line, struct span id, int64_t not_after_s);
void world_ban(struct world *world, const struct spiffe_id *id);

struct asking { /* one sidecar's request and the memory that it borrows */
	struct attest_request request;
	struct buf key, csr, proof;
};

void asking_done(struct asking *asking);
struct asking world_ask(struct world *world, enum attestation_kind kind, const struct private_key *key);
void world_on_done(void *arg, enum err err, const struct attested *attested, const struct why *why);
enum err world_check(struct world *world, const struct attest_request *request);
enum err world_attest(struct world *world, enum attestation_kind kind, const struct private_key *key);
