/* Machine certificates: what is proven on this connection, and what the record of an attestation key is worth. */
#include "base/core/log.h"
#include "base/net/fd.h"
#include "certs/csr.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include "certs/web_identity.h"
#include "control/attest/test_attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define DB "spiffe://td/db"

struct machine {
	struct test_cert *root, *leaf;
	struct web_identity *identity;
	struct workload_entry entry;
	char roots_path[96];
	struct buf signature;
};

static void write_root(struct machine *machine)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(8192);
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(machine->root), &pem), ERR_NONE);
	assert_int_equal(fd_write_file(machine->roots_path, buf_span(&pem), 0644, NULL), ERR_NONE);
}

static void machine_init(struct world *world, struct machine *machine)
{
	const struct test_cert_spec root = test_ca_spec("machines");
	struct test_cert_spec leaf = test_leaf_spec("spiffe://td/x");
	leaf.subject = "db1";
	leaf.names[0] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("db1.example")};
	leaf.purposes = TEST_EKU_CLIENT;
	*machine = (struct machine){.signature = BUF_INIT(1024), .entry = {.name = strdup("db")}};
	machine->root = test_cert_new(&root, NULL);
	machine->leaf = test_cert_new(&leaf, machine->root);
	struct span chain = test_cert_der(machine->leaf);
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(machine->leaf);
	assert_int_equal(web_identity_new(&chain, 1, key, &machine->identity, NULL), ERR_NONE);
	machine->entry.id = world_id(DB);
	machine->entry.ttl_s = 60;
	assert_int_equal(
		workload_entry_add_selector(&machine->entry, SPAN_LITERAL("x509:san:dns:db1.example"), NULL), ERR_NONE);
	snprintf(machine->roots_path, sizeof machine->roots_path, "%s/roots.pem", world->folder);
	write_root(machine);
	assert_int_equal(attest_set_x509(world->attest, machine->roots_path, NULL), ERR_NONE);
	attest_set_entries(world->attest, &machine->entry, 1);
}

static void machine_done(struct machine *machine)
{
	test_cert_free(machine->root);
	test_cert_free(machine->leaf);
	web_identity_unref(machine->identity);
	workload_entry_done(&machine->entry);
	buf_done(&machine->signature);
}

static struct asking ask(struct world *world, struct machine *machine, const struct private_key *key)
{
	struct asking asking = world_ask(world, ATTESTATION_X509, key);
	_cleanup_(buf_done) struct buf message = BUF_INIT(128);
	uint8_t hash[DIGEST_LEN];
	digest_sha256(asking.request.attestation_key, hash);
	assert_int_equal(buf_append_str(&message, ATTEST_X509_CONTEXT), ERR_NONE);
	assert_int_equal(buf_append(&message, span_of(asking.request.exported, ATTEST_EXPORTED_LEN)), ERR_NONE);
	assert_int_equal(buf_append(&message, span_of(hash, sizeof hash)), ERR_NONE);
	buf_clear(&machine->signature);
	assert_int_equal(web_identity_sign(machine->identity, buf_span(&message), &machine->signature), ERR_NONE);
	asking.request.x509.chain[0] = test_cert_der(machine->leaf);
	asking.request.x509.num_chain = 1;
	asking.request.x509.signature = buf_span(&machine->signature);
	return asking;
}

static enum err attest(struct world *world, struct machine *machine, const struct private_key *key)
{
	_cleanup_(asking_done) struct asking asking = ask(world, machine, key);
	return world_check(world, &asking.request);
}

static void an_entry_makes_the_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(machine_done) struct machine machine;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	assert_int_equal(world_attest(world, ATTESTATION_X509, key), ERR_UNSUPPORTED);
	machine_init(world, &machine);
	assert_int_equal(attest(world, &machine, key), ERR_NONE);
	assert_string_equal(world->id, DB);
	assert_true(world->is_recorded);
	attest_set_entries(world->attest, NULL, 0);
	assert_int_equal(attest(world, &machine, key), ERR_DENIED);
}

/* At the start, not when the first machine comes. */
static void a_missing_file_is_reported_when_it_is_set(void **state)
{
	struct world *world = *state;
	_cleanup_(machine_done) struct machine machine;
	char missing[96];
	machine_init(world, &machine);
	snprintf(missing, sizeof missing, "%s/missing.pem", world->folder);
	assert_int_equal(attest_set_x509(world->attest, machine.roots_path, missing), ERR_NOT_FOUND);
	assert_int_equal(attest_set_x509(world->attest, missing, NULL), ERR_NOT_FOUND);
	assert_int_equal(attest_set_x509(world->attest, NULL, NULL), ERR_NONE);
}

static void W29_the_proof_is_of_this_connection_this_request_and_this_attestation_key(void **state)
{
	struct world *world = *state;
	_cleanup_(machine_done) struct machine machine;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate(), *other = private_key_generate();
	machine_init(world, &machine);
	_cleanup_(asking_done) struct asking asking = ask(world, &machine, key);
	/* Another connection, or another CSR: another export. The attestation key's own proof is right. */
	memset(asking.request.exported, 0x11, ATTEST_EXPORTED_LEN);
	buf_clear(&asking.proof);
	assert_int_equal(private_key_sign(key, span_of(asking.request.exported, 32), &asking.proof), ERR_NONE);
	asking.request.proof = buf_span(&asking.proof);
	assert_int_equal(world_check(world, &asking.request), ERR_CRYPTO);
	/* Another attestation key with that machine's signature. */
	_cleanup_(asking_done) struct asking foreign = world_ask(world, ATTESTATION_X509, other);
	_cleanup_(asking_done) struct asking own = ask(world, &machine, key);
	foreign.request.x509 = own.request.x509;
	assert_int_equal(world_check(world, &foreign.request), ERR_CRYPTO);
	assert_int_equal(world_check(world, &own.request), ERR_NONE);
}

static void put_record(struct world *world, const struct private_key *key, enum svid_holder_by by)
{
	_cleanup_(asking_done) struct asking asking = world_ask(world, ATTESTATION_KEY, key);
	struct svid_holder svid_holder = {.id = world_id(DB), .since_s = 1800000000, .by = by};
	digest_sha256(asking.request.attestation_key, svid_holder.key_hash);
	assert_int_equal(svid_holders_put(world->store, &svid_holder, NULL, NULL), ERR_NONE);
	struct svid_holder found = {0};
	while (svid_holders_find(world->store, svid_holder.key_hash, &found) != ERR_NONE)
		loop_run_once(world->loop, false);
	assert_int_equal(found.by, by);
	svid_holder_done(&found);
	svid_holder_done(&svid_holder);
}

static void W33_the_record_of_a_machine_attests_nothing_without_its_certificate(void **state)
{
	struct world *world = *state;
	_cleanup_(private_key_unrefp) struct private_key *machine = private_key_generate(),
							 *socket = private_key_generate(),
							 *token = private_key_generate();
	put_record(world, machine, SVID_HOLDER_BY_X509);
	put_record(world, socket, SVID_HOLDER_BY_UNIX);
	put_record(world, token, SVID_HOLDER_BY_TOKEN);
	assert_int_equal(world_attest(world, ATTESTATION_KEY, machine), ERR_DENIED);
	assert_int_equal(world_attest(world, ATTESTATION_KEY, socket), ERR_DENIED);
	assert_int_equal(world_attest(world, ATTESTATION_KEY, token), ERR_NONE);
	/* Those of entries go when their certificates have ended; the others may come back later. */
	assert_int_equal(svid_holders_prune(world->store, 1800000000 - 86400, 1800000000 + 1, 10), 2);
}

static void a_key_of_a_join_token_keeps_its_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(machine_done) struct machine machine;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	machine_init(world, &machine);
	assert_int_equal(world_attest(world, ATTESTATION_JOIN_TOKEN, key), ERR_NONE);
	assert_string_equal(world->id, TEST_ID);
	assert_int_equal(attest(world, &machine, key), ERR_DENIED);
	assert_non_null(strstr(world->detail.got, TEST_ID));
}

static void W20_W21_renewals_and_bans_are_as_for_every_key(void **state)
{
	struct world *world = *state;
	_cleanup_(machine_done) struct machine machine;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(spiffe_id_done) struct spiffe_id own = world_id(DB), other = world_id("spiffe://td/web");
	machine_init(world, &machine);
	_cleanup_(asking_done) struct asking asking = ask(world, &machine, key);
	asking.request.own = &own;
	assert_int_equal(world_check(world, &asking.request), ERR_NONE);
	asking.request.own = &other;
	assert_int_equal(world_check(world, &asking.request), ERR_DENIED);
	world_ban(world, &own);
	assert_int_equal(attest(world, &machine, key), ERR_REVOKED);
}

static void count_line(void *arg, _unused_ const char *text)
{
	(*(unsigned *)arg)++;
}

static void files_that_cannot_be_used_are_logged_once(void **state)
{
	struct world *world = *state;
	unsigned num_lines = 0;
	_cleanup_(machine_done) struct machine machine;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	machine_init(world, &machine);
	assert_int_equal(remove(machine.roots_path), 0);
	log_set_tap("attest", count_line, &num_lines);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(attest(world, &machine, key), ERR_UNAVAILABLE);
	assert_int_equal(num_lines, 1);
	write_root(&machine);
	assert_int_equal(attest(world, &machine, key), ERR_NONE);
	assert_int_equal(remove(machine.roots_path), 0);
	assert_int_equal(attest(world, &machine, key), ERR_UNAVAILABLE);
	assert_int_equal(num_lines, 2);
	log_set_tap(NULL, NULL, NULL);
}

static void the_roots_are_read_again_when_they_change(void **state)
{
	struct world *world = *state;
	_cleanup_(machine_done) struct machine machine, other;
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	machine_init(world, &machine);
	assert_int_equal(attest(world, &machine, key), ERR_NONE);
	machine_init(world, &other); /* writes its root to the same path */
	assert_int_equal(attest(world, &machine, key), ERR_UNTRUSTED);
	assert_int_equal(attest(world, &other, key), ERR_NONE);
	assert_int_equal(fd_write_file(machine.roots_path, SPAN_LITERAL("nonsense"), 0644, NULL), ERR_NONE);
	assert_int_equal(attest(world, &other, key), ERR_UNAVAILABLE);
	assert_int_equal(remove(machine.roots_path), 0);
	assert_int_equal(attest(world, &other, key), ERR_UNAVAILABLE);
	assert_null(strstr(world->detail.got, machine.roots_path));
	write_root(&other);
	assert_int_equal(attest(world, &other, key), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_entry_makes_the_identity),
		WORLD_TEST(a_missing_file_is_reported_when_it_is_set),
		WORLD_TEST(W29_the_proof_is_of_this_connection_this_request_and_this_attestation_key),
		WORLD_TEST(W33_the_record_of_a_machine_attests_nothing_without_its_certificate),
		WORLD_TEST(a_key_of_a_join_token_keeps_its_identity),
		WORLD_TEST(W20_W21_renewals_and_bans_are_as_for_every_key),
		WORLD_TEST(files_that_cannot_be_used_are_logged_once),
		WORLD_TEST(the_roots_are_read_again_when_they_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
