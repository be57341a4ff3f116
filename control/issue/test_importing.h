/* For tests: the authorities of a mesh "td.test" at a fixed time, and an offline root of the operator's
 * (certs/test_ca.h) below which an intermediate is asked for and imported. */
#pragma once

#include "base/core/clock.h"
#include "certs/digest.h"
#include "certs/test_ca.h"
#include "control/issue/authority.h"

struct importing {
	char parent[64], folder[80], files[3][80];
	struct clock_fake clock;
	struct authority_options options;
	struct authority authority;
	struct private_key *asked;
	struct test_cert *root;
	struct imported imported;
	struct why detail;
};

/* Fixtures for cmocka: *state is a struct importing, whose authority is open and has made its request. */
int importing_set_up(void **state);
int importing_tear_down(void **state);
#define IMPORTING_TEST(name) cmocka_unit_test_setup_teardown(name, importing_set_up, importing_tear_down)

void importing_reopen(struct importing *world);
/* Asks for the next intermediate: world->asked is its key. */
void importing_ask(struct importing *world);
/* A valid one for that key. */
struct test_cert_spec importing_intermediate(const struct importing *world);
void importing_put(struct buf *pem, const struct test_cert *cert);
void importing_digest(const struct test_cert *cert, uint8_t out[DIGEST_LEN]);
/* root_sha256: that of the rotation, or NULL. The outcome is in world->imported, or in world->detail. */
enum err importing_take(struct importing *world, const struct buf *pem, const uint8_t *root_sha256) _must_use_;
enum err importing_take_below(
	struct importing *world, const struct test_cert_spec *spec, const struct test_cert *root) _must_use_;
enum err importing_activate(struct importing *world, const struct test_cert *root) _must_use_;
bool importing_is_leaf_below(struct importing *world, const struct test_cert *root);
