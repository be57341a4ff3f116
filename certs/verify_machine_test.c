#include "base/core/check.h"
#include "certs/boringssl.h"
#include "certs/digest.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include "certs/verify_machine.h"
#include "certs/web_identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define MESSAGE SPAN_LITERAL("this connection")

struct world {
	struct test_cert *root, *issuer, *leaf;
	struct web_roots *roots;
	struct machine_crls *crls;
	struct buf signature;
	char facts[2048];
	unsigned num_facts;
	struct why detail;
};

static struct test_cert_spec machine_spec(void)
{
	struct test_cert_spec spec = test_leaf_spec("spiffe://td/x");
	spec.subject = "db1";
	spec.names[0] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("DB1.Example")};
	spec.names[1] = TEST_URI("urn:machine:db1");
	spec.purposes = TEST_EKU_CLIENT;
	return spec;
}

static struct web_roots *roots_of(const struct test_cert *cert)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(8192);
	struct web_roots *roots = NULL;
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(cert), &pem), ERR_NONE);
	assert_int_equal(web_roots_parse(buf_span(&pem), &roots, NULL), ERR_NONE);
	return roots;
}

static void sign(struct world *world, const struct test_cert *by)
{
	size_t len;
	uint8_t *room;
	EVP_MD_CTX context;
	EVP_PKEY *key = test_cert_get0_evp(by);
	buf_clear(&world->signature);
	assert_int_equal(buf_reserve(&world->signature, 1024, &room), ERR_NONE);
	len = 1024;
	EVP_MD_CTX_init(&context);
	const EVP_MD *digest = EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	assert_int_equal(EVP_DigestSignInit(&context, NULL, digest, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(&context, room, &len, MESSAGE.ptr, MESSAGE.len), 1);
	EVP_MD_CTX_cleanup(&context);
	buf_commit(&world->signature, len);
}

/* Below root and issuer, both as made by `spec` or valid ones. */
static void make(struct world *world, const struct test_cert_spec *leaf, const struct test_cert_spec *issuer)
{
	const struct test_cert_spec root = test_ca_spec("machines root"), valid = test_ca_spec("machines issuer");
	*world = (struct world){.signature = BUF_INIT(1024)};
	world->root = test_cert_new(&root, NULL);
	world->issuer = test_cert_new(issuer != NULL ? issuer : &valid, world->root);
	world->leaf = test_cert_new(leaf, world->issuer);
	world->roots = roots_of(world->root);
	sign(world, world->leaf);
}

static void world_done(struct world *world)
{
	test_cert_free(world->root);
	test_cert_free(world->issuer);
	test_cert_free(world->leaf);
	web_roots_free(world->roots);
	machine_crls_free(world->crls);
	buf_done(&world->signature);
}

static void on_fact(void *arg, enum machine_fact fact, struct span value)
{
	struct world *world = arg;
	static const char *const names[] = {"cn", "dns", "uri"};
	size_t len = strlen(world->facts);
	world->num_facts++;
	if (fact != MACHINE_CA_SHA256)
		snprintf(world->facts + len, sizeof world->facts - len, "%s=%.*s ", names[fact], (int)value.len,
			(const char *)value.ptr);
}

static enum err judge_at(struct world *world, int64_t now_s)
{
	const struct span chain[] = {test_cert_der(world->leaf), test_cert_der(world->issuer)};
	const struct verify_machine_input input = {.chain = chain,
		.num_chain = 2,
		.message = MESSAGE,
		.signature = buf_span(&world->signature),
		.roots = world->roots,
		.crls = world->crls,
		.now_s = now_s};
	world->num_facts = 0;
	world->facts[0] = 0;
	world->detail = (struct why){0};
	enum err err = verify_machine_chain(&input, on_fact, world, &world->detail);
	assert_int_equal(err, world->detail.err);
	assert_true(err == ERR_NONE || world->num_facts == 0);
	return err;
}

static enum err judge(struct world *world)
{
	return judge_at(world, TEST_NOW_S);
}

static enum err judge_leaf(const struct test_cert_spec *spec)
{
	_cleanup_(world_done) struct world world;
	make(&world, spec, NULL);
	return judge(&world);
}

static void reports_what_a_valid_certificate_states(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	make(&world, &spec, NULL);
	assert_int_equal(judge(&world), ERR_NONE);
	assert_string_equal(world.facts, "cn=db1 dns=db1.example uri=urn:machine:db1 ");
	assert_int_equal(world.num_facts, 5); /* both authorities */
}

static void W30_reports_no_common_name_below_an_authority_with_name_constraints(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	struct test_cert_spec issuer = test_ca_spec("machines issuer");
	issuer.permitted[0] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("example")};
	make(&world, &spec, &issuer);
	assert_int_equal(judge(&world), ERR_NONE);
	assert_string_equal(world.facts, "dns=db1.example uri=urn:machine:db1 ");
}

static void takes_every_allowed_kind_of_key(void **state)
{
	(void)state;
	const enum test_key_kind kinds[] = {TEST_KEY_P384, TEST_KEY_ED25519, TEST_KEY_RSA_2048};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct test_cert_spec spec = machine_spec();
		spec.key = kinds[i];
		assert_int_equal(judge_leaf(&spec), ERR_NONE);
	}
}

static void W17_refuses_weak_keys_and_digests(void **state)
{
	(void)state;
	const enum test_key_kind kinds[] = {TEST_KEY_P224, TEST_KEY_P521, TEST_KEY_RSA_1024, TEST_KEY_RSA_E3};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct test_cert_spec spec = machine_spec();
		spec.key = kinds[i];
		assert_int_equal(judge_leaf(&spec), ERR_WEAK_KEY);
	}
	struct test_cert_spec spec = machine_spec();
	spec.digest = "SHA1";
	assert_int_equal(judge_leaf(&spec), ERR_WEAK_KEY);
}

static void W29_refuses_a_signature_by_another_key_or_over_other_bytes(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	make(&world, &spec, NULL);
	sign(&world, world.issuer);
	assert_int_equal(judge(&world), ERR_CRYPTO);
	sign(&world, world.leaf);
	assert_int_equal(judge(&world), ERR_NONE);
	buf_clear(&world.signature);
	assert_int_equal(judge(&world), ERR_CRYPTO);
}

static void W30_refuses_a_certificate_for_another_purpose(void **state)
{
	(void)state;
	const unsigned purposes[] = {TEST_EKU_NONE, TEST_EKU_SERVER, TEST_EKU_ANY, TEST_EKU_EMAIL};
	for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++) {
		struct test_cert_spec spec = machine_spec();
		spec.purposes = purposes[i];
		assert_int_equal(judge_leaf(&spec), ERR_UNTRUSTED);
	}
	struct test_cert_spec spec = machine_spec();
	spec.key_usage = TEST_KU_CRL_SIGN;
	assert_int_equal(judge_leaf(&spec), ERR_UNTRUSTED);
	spec = machine_spec();
	spec.key_usage = TEST_KU_NONE; /* then any usage is allowed: RFC 5280 4.2.1.3 */
	assert_int_equal(judge_leaf(&spec), ERR_NONE);
	spec = machine_spec();
	spec.is_ca = true;
	assert_int_equal(judge_leaf(&spec), ERR_UNTRUSTED);
}

static void W30_refuses_another_ca_and_one_that_is_none(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world, other;
	const struct test_cert_spec spec = machine_spec();
	make(&world, &spec, NULL);
	make(&other, &spec, NULL); /* the same names, another key */
	struct web_roots *own = world.roots;
	world.roots = other.roots;
	assert_int_equal(judge(&world), ERR_UNTRUSTED);
	world.roots = own;
	struct test_cert_spec issuer = test_ca_spec("machines issuer");
	issuer.is_ca = false;
	_cleanup_(world_done) struct world below_leaf;
	make(&below_leaf, &spec, &issuer);
	assert_int_equal(judge(&below_leaf), ERR_UNTRUSTED);
}

static void W30_refuses_what_is_expired_or_not_valid_yet(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	make(&world, &spec, NULL);
	assert_int_equal(judge_at(&world, TEST_NOW_S + 7200), ERR_EXPIRED);
	assert_int_equal(judge_at(&world, TEST_NOW_S - 7200), ERR_NOT_YET_VALID);
}

static void take_lists(struct world *world, const struct test_crl_spec *of_root, const struct test_crl_spec *of_issuer)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(8192), root = BUF_INIT(4096), issuer = BUF_INIT(4096);
	test_crl_make(of_root, world->root, &root);
	test_crl_make(of_issuer, world->issuer, &issuer);
	assert_int_equal(pem_encode("X509 CRL", buf_span(&root), &pem), ERR_NONE);
	assert_int_equal(pem_encode("X509 CRL", buf_span(&issuer), &pem), ERR_NONE);
	machine_crls_free(world->crls);
	world->crls = NULL;
	assert_int_equal(machine_crls_parse(buf_span(&pem), &world->crls, NULL), ERR_NONE);
}

static void W31_refuses_what_the_ca_has_revoked(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	struct test_crl_spec none = test_crl_spec(), leaf = test_crl_spec(), issuer = test_crl_spec(),
			     stale = test_crl_spec();
	make(&world, &spec, NULL);
	leaf.revoked[0] = world.leaf;
	issuer.revoked[0] = world.issuer;
	stale.this_update_s -= 7200;
	stale.next_update_s -= 7200;
	take_lists(&world, &none, &none);
	assert_int_equal(judge(&world), ERR_NONE);
	take_lists(&world, &none, &leaf);
	assert_int_equal(judge(&world), ERR_REVOKED);
	take_lists(&world, &issuer, &none);
	assert_int_equal(judge(&world), ERR_REVOKED);
	take_lists(&world, &none, &stale); /* the last word of a CA is not "not revoked" for ever */
	assert_int_equal(judge(&world), ERR_UNTRUSTED);
}

static void W30_refuses_chains_that_are_too_long_or_empty(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	struct span chain[MACHINE_CHAIN_MAX + 1];
	uint8_t large[20000] = {0x30, 0x82, 0x4e, 0x1c};
	make(&world, &spec, NULL);
	for (size_t i = 0; i <= MACHINE_CHAIN_MAX; i++)
		chain[i] = test_cert_der(world.leaf);
	struct verify_machine_input input = {.chain = chain,
		.num_chain = MACHINE_CHAIN_MAX + 1,
		.message = MESSAGE,
		.signature = buf_span(&world.signature),
		.roots = world.roots,
		.now_s = TEST_NOW_S};
	assert_int_equal(verify_machine_chain(&input, on_fact, &world, NULL), ERR_TOO_LARGE);
	input.num_chain = 0;
	assert_int_equal(verify_machine_chain(&input, on_fact, &world, NULL), ERR_NO_CERTIFICATE);
	input.num_chain = 1;
	chain[0] = span_of(large, sizeof large);
	assert_int_equal(verify_machine_chain(&input, on_fact, &world, NULL), ERR_MALFORMED);
}

static void refuses_files_without_a_list(void **state)
{
	(void)state;
	struct machine_crls *crls = NULL;
	assert_int_equal(machine_crls_parse(SPAN_LITERAL(""), &crls, NULL), ERR_MALFORMED);
	assert_int_equal(machine_crls_parse(
				 SPAN_LITERAL("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"), &crls, NULL),
		ERR_MALFORMED);
}

static void the_sidecars_signature_is_the_one_that_is_checked(void **state)
{
	(void)state;
	_cleanup_(world_done) struct world world;
	const struct test_cert_spec spec = machine_spec();
	make(&world, &spec, NULL);
	const struct span chain[] = {test_cert_der(world.leaf), test_cert_der(world.issuer)};
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(world.leaf);
	_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
	assert_int_equal(web_identity_new(chain, 2, key, &identity, NULL), ERR_NONE);
	buf_clear(&world.signature);
	assert_int_equal(web_identity_sign(identity, MESSAGE, &world.signature), ERR_NONE);
	assert_int_equal(judge(&world), ERR_NONE);
	assert_true(span_eq(web_identity_cert(identity, 1), chain[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_what_a_valid_certificate_states),
		cmocka_unit_test(W30_reports_no_common_name_below_an_authority_with_name_constraints),
		cmocka_unit_test(takes_every_allowed_kind_of_key),
		cmocka_unit_test(W17_refuses_weak_keys_and_digests),
		cmocka_unit_test(W29_refuses_a_signature_by_another_key_or_over_other_bytes),
		cmocka_unit_test(W30_refuses_a_certificate_for_another_purpose),
		cmocka_unit_test(W30_refuses_another_ca_and_one_that_is_none),
		cmocka_unit_test(W30_refuses_what_is_expired_or_not_valid_yet),
		cmocka_unit_test(W31_refuses_what_the_ca_has_revoked),
		cmocka_unit_test(W30_refuses_chains_that_are_too_long_or_empty),
		cmocka_unit_test(refuses_files_without_a_list),
		cmocka_unit_test(the_sidecars_signature_is_the_one_that_is_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
