#include "base/core/buf.h"
#include "base/core/check.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include "certs/verify_web.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define NAME "kubernetes.default.svc"

/* A web server's certificate below a root; tests change one field. */
static struct test_cert_spec server_spec(void)
{
	struct test_cert_spec spec = test_leaf_spec("");
	spec.subject = "kube-apiserver";
	spec.names[0] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL(NAME)};
	spec.names[1] = (struct test_name){TEST_NAME_IP, SPAN_LITERAL("\x0a\x60\x00\x01")};
	spec.purposes = TEST_EKU_SERVER;
	return spec;
}

static struct test_cert_spec root_spec(void)
{
	struct test_cert_spec spec = test_ca_spec("kubernetes");
	spec.has_serial = true; /* kubeadm gave its roots the serial number 0 */
	return spec;
}

static struct web_roots *roots_of(const struct test_cert *const *certs, size_t num_certs)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(8192);
	struct web_roots *roots = NULL;
	for (size_t i = 0; i < num_certs; i++)
		CHECK(pem_encode("CERTIFICATE", test_cert_der(certs[i]), &pem) == ERR_NONE);
	assert_int_equal(web_roots_parse(buf_span(&pem), &roots, NULL), ERR_NONE);
	return roots;
}

static enum err judge_chain(
	const struct test_cert *anchor, const struct span *chain, size_t num_chain, const char *name, struct why *why)
{
	_cleanup_(web_roots_freep) struct web_roots *roots = roots_of(&anchor, 1);
	struct verify_web_input input = {
		.chain = chain, .num_chain = num_chain, .roots = roots, .name = name, .now_s = TEST_NOW_S};
	return verify_web_chain(&input, why);
}

static enum err judge_for(const struct test_cert_spec *spec, const char *name, struct why *why)
{
	struct test_cert_spec root = root_spec();
	_cleanup_(test_cert_freep) struct test_cert *authority = test_cert_new(&root, NULL);
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(spec, authority);
	struct span der = test_cert_der(leaf);
	return judge_chain(authority, &der, 1, name, why);
}

static enum err judge(const struct test_cert_spec *spec)
{
	struct why why = {0};
	enum err err = judge_for(spec, NAME, &why);
	assert_int_equal(why.err, err);
	return err;
}

static void accepts_a_server_by_name_and_by_address(void **state)
{
	(void)state;
	struct test_cert_spec spec = server_spec();
	assert_int_equal(judge_for(&spec, NAME, NULL), ERR_NONE);
	assert_int_equal(judge_for(&spec, "10.96.0.1", NULL), ERR_NONE);
}

static void refuses_another_name_and_another_address(void **state)
{
	(void)state;
	struct test_cert_spec spec = server_spec();
	struct why why = {0};
	assert_int_equal(judge_for(&spec, "kubernetes.default", &why), ERR_WRONG_PEER);
	assert_non_null(strstr(why.got, "kubernetes.default"));
	assert_int_equal(judge_for(&spec, "10.96.0.2", &why), ERR_WRONG_PEER);
	assert_int_equal(judge_for(&spec, "kube-apiserver", &why), ERR_WRONG_PEER); /* a common name is no name */
}

static void accepts_each_usual_kind_of_key(void **state)
{
	(void)state;
	static const enum test_key_kind kinds[] = {TEST_KEY_P256, TEST_KEY_P384, TEST_KEY_RSA_2048, TEST_KEY_RSA_4096};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct test_cert_spec spec = server_spec();
		spec.key = kinds[i];
		assert_int_equal(judge(&spec), ERR_NONE);
	}
	struct test_cert_spec weak = server_spec();
	weak.key = TEST_KEY_RSA_1024;
	assert_int_equal(judge(&weak), ERR_WEAK_KEY);
}

static void refuses_weak_digests(void **state)
{
	(void)state;
	static const char *const digests[] = {"SHA1", "SHA224"};
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		struct test_cert_spec spec = server_spec();
		spec.digest = digests[i];
		assert_int_equal(judge(&spec), ERR_WEAK_KEY);
	}
}

static void refuses_a_certificate_outside_of_its_time(void **state)
{
	(void)state;
	struct test_cert_spec spec = server_spec();
	spec.not_after_s = TEST_NOW_S - 1;
	assert_int_equal(judge(&spec), ERR_EXPIRED);
	spec = server_spec();
	spec.not_before_s = TEST_NOW_S + 60;
	assert_int_equal(judge(&spec), ERR_NOT_YET_VALID);
}

static void refuses_a_certificate_that_is_for_clients_or_forged(void **state)
{
	(void)state;
	struct test_cert_spec spec = server_spec();
	spec.purposes = TEST_EKU_CLIENT;
	assert_int_equal(judge(&spec), ERR_UNTRUSTED);
	spec = server_spec();
	spec.has_wrong_signature = true;
	assert_int_equal(judge(&spec), ERR_UNTRUSTED);
}

static void refuses_the_certificate_of_another_authority(void **state)
{
	(void)state;
	struct test_cert_spec root = root_spec(), spec = server_spec();
	_cleanup_(test_cert_freep) struct test_cert *ours = test_cert_new(&root, NULL);
	_cleanup_(test_cert_freep) struct test_cert *theirs = test_cert_new(&root, NULL);
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(&spec, theirs);
	struct span chain[] = {test_cert_der(leaf), test_cert_der(theirs)};
	struct why why = {0};
	assert_int_equal(judge_chain(ours, chain, 2, NAME, &why), ERR_UNTRUSTED);
	assert_int_equal(judge_chain(theirs, chain, 2, NAME, &why), ERR_NONE);
}

static void follows_an_intermediate_and_trusts_one_that_is_named(void **state)
{
	(void)state;
	struct test_cert_spec root = root_spec(), middle = test_ca_spec("middle"), spec = server_spec();
	_cleanup_(test_cert_freep) struct test_cert *authority = test_cert_new(&root, NULL);
	_cleanup_(test_cert_freep) struct test_cert *intermediate = test_cert_new(&middle, authority);
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(&spec, intermediate);
	struct span chain[] = {test_cert_der(leaf), test_cert_der(intermediate)};
	struct why why = {0};
	assert_int_equal(judge_chain(authority, chain, 2, NAME, &why), ERR_NONE);
	assert_int_equal(judge_chain(intermediate, chain, 1, NAME, &why), ERR_NONE);
	assert_int_equal(judge_chain(authority, chain, 1, NAME, &why), ERR_UNTRUSTED);
}

static enum err judge_under(
	const struct test_cert *first, const struct test_cert *second, const struct test_cert *issuer)
{
	struct test_cert_spec spec = server_spec();
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(&spec, issuer);
	_cleanup_(web_roots_freep) struct web_roots *roots = roots_of((const struct test_cert *[]){first, second}, 2);
	struct span der = test_cert_der(leaf);
	struct why why = {0};
	return verify_web_chain(
		&(struct verify_web_input){
			.chain = &der, .num_chain = 1, .roots = roots, .name = NAME, .now_s = TEST_NOW_S},
		&why);
}

static void accepts_an_authority_that_is_named_as_it_was_and_renewed(void **state)
{
	(void)state;
	struct test_cert_spec spec = root_spec();
	_cleanup_(test_cert_freep) struct test_cert *renewed = test_cert_new(&spec, NULL);
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(renewed);
	spec.for_key = key;
	spec.not_after_s = TEST_NOW_S - 1;
	_cleanup_(test_cert_freep) struct test_cert *expired = test_cert_new(&spec, renewed);
	spec.not_before_s = TEST_NOW_S + 60;
	spec.not_after_s = TEST_NOW_S + 3600;
	_cleanup_(test_cert_freep) struct test_cert *early = test_cert_new(&spec, renewed);
	assert_int_equal(judge_under(expired, renewed, renewed), ERR_NONE);
	assert_int_equal(judge_under(renewed, expired, renewed), ERR_NONE);
	assert_int_equal(judge_under(early, renewed, renewed), ERR_NONE);
	assert_int_equal(judge_under(expired, expired, renewed), ERR_EXPIRED);
	spec = test_ca_spec("another");
	_cleanup_(test_cert_freep) struct test_cert *other = test_cert_new(&spec, NULL);
	assert_int_equal(judge_under(other, expired, renewed), ERR_EXPIRED); /* its time is named, not its absence */
}

static void bounds_the_chain_and_refuses_what_is_no_certificate(void **state)
{
	(void)state;
	struct test_cert_spec root = root_spec();
	_cleanup_(test_cert_freep) struct test_cert *authority = test_cert_new(&root, NULL);
	struct span chain[WEB_CHAIN_MAX + 1];
	for (size_t i = 0; i <= WEB_CHAIN_MAX; i++)
		chain[i] = test_cert_der(authority);
	struct span words = SPAN_LITERAL("no certificate");
	struct why why = {0};
	assert_int_equal(judge_chain(authority, chain, WEB_CHAIN_MAX + 1, NAME, &why), ERR_TOO_LARGE);
	assert_int_equal(judge_chain(authority, chain, 0, NAME, &why), ERR_NO_CERTIFICATE);
	assert_int_equal(judge_chain(authority, &words, 1, NAME, &why), ERR_MALFORMED);
}

static void refuses_a_file_without_roots(void **state)
{
	(void)state;
	struct web_roots *roots = NULL;
	struct why why = {0};
	assert_int_equal(web_roots_parse(SPAN_LITERAL("words"), &roots, &why), ERR_MALFORMED);
	assert_string_equal(why.got, "there is no CA certificate");
	struct span broken = SPAN_LITERAL("-----BEGIN CERTIFICATE-----\nb25l\n-----END CERTIFICATE-----\n");
	assert_int_equal(web_roots_parse(broken, &roots, &why), ERR_MALFORMED);
	assert_null(roots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_server_by_name_and_by_address),
		cmocka_unit_test(refuses_another_name_and_another_address),
		cmocka_unit_test(accepts_each_usual_kind_of_key),
		cmocka_unit_test(refuses_weak_digests),
		cmocka_unit_test(refuses_a_certificate_outside_of_its_time),
		cmocka_unit_test(refuses_a_certificate_that_is_for_clients_or_forged),
		cmocka_unit_test(refuses_the_certificate_of_another_authority),
		cmocka_unit_test(follows_an_intermediate_and_trusts_one_that_is_named),
		cmocka_unit_test(accepts_an_authority_that_is_named_as_it_was_and_renewed),
		cmocka_unit_test(bounds_the_chain_and_refuses_what_is_no_certificate),
		cmocka_unit_test(refuses_a_file_without_roots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
