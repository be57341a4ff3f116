#include "base/core/check.h"
#include "certs/boringssl.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include "certs/web_identity.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct files {
	struct test_cert *cert;
	struct buf chain, key;
};

static void append_key(EVP_PKEY *evp, const char *label, struct buf *out)
{
	CBB cbb;
	uint8_t *der;
	size_t len;
	CHECK(CBB_init(&cbb, 256));
	if (strcmp(label, "RSA PRIVATE KEY") == 0)
		CHECK(RSA_marshal_private_key(&cbb, EVP_PKEY_get0_RSA(evp)));
	else if (strcmp(label, "EC PRIVATE KEY") == 0)
		CHECK(EC_KEY_marshal_private_key(&cbb, EVP_PKEY_get0_EC_KEY(evp), 0));
	else
		CHECK(EVP_marshal_private_key(&cbb, evp));
	CHECK(CBB_finish(&cbb, &der, &len) && pem_encode(label, span_of(der, len), out) == ERR_NONE);
	OPENSSL_free(der);
}

static struct files files_of(enum test_key_kind kind, const char *label)
{
	struct test_cert_spec spec = test_ca_spec("kubernetes-admin");
	spec.key = kind;
	struct files files = {.cert = test_cert_new(&spec, NULL), .chain = BUF_INIT(8192), .key = BUF_INIT(8192)};
	CHECK(pem_encode("CERTIFICATE", test_cert_der(files.cert), &files.chain) == ERR_NONE);
	append_key(test_cert_get0_evp(files.cert), label, &files.key);
	return files;
}

static void files_done(struct files *files)
{
	test_cert_free(files->cert);
	buf_done(&files->chain);
	buf_done(&files->key);
}

static void parses_each_form_of_a_key(void **state)
{
	(void)state;
	static const struct {
		enum test_key_kind kind;
		const char *label;
	} forms[] = {{TEST_KEY_P256, "PRIVATE KEY"}, {TEST_KEY_P256, "EC PRIVATE KEY"}, {TEST_KEY_P384, "PRIVATE KEY"},
		{TEST_KEY_ED25519, "PRIVATE KEY"}, {TEST_KEY_RSA_2048, "RSA PRIVATE KEY"},
		{TEST_KEY_RSA_2048, "PRIVATE KEY"}};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		_cleanup_(files_done) struct files files = files_of(forms[i].kind, forms[i].label);
		_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
		struct why why = {0};
		assert_int_equal(
			web_identity_parse(buf_span(&files.chain), buf_span(&files.key), &identity, &why), ERR_NONE);
		assert_int_equal(web_identity_num_chain(identity), 1);
		web_identity_unref(web_identity_ref(identity));
	}
}

static void refuses_the_key_of_another_certificate(void **state)
{
	(void)state;
	_cleanup_(files_done) struct files mine = files_of(TEST_KEY_P256, "PRIVATE KEY");
	_cleanup_(files_done) struct files other = files_of(TEST_KEY_P256, "PRIVATE KEY");
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(other.cert);
	struct span der = test_cert_der(mine.cert);
	struct web_identity *identity = NULL;
	struct why why = {0};
	assert_int_equal(
		web_identity_parse(buf_span(&mine.chain), buf_span(&other.key), &identity, &why), ERR_KEY_MISMATCH);
	assert_int_equal(web_identity_new(&der, 1, key, &identity, &why), ERR_KEY_MISMATCH);
	assert_null(identity);
}

static enum err parse(struct span chain, struct span key, struct why *why)
{
	_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
	return web_identity_parse(chain, key, &identity, why);
}

static void refuses_what_is_missing_or_encrypted(void **state)
{
	(void)state;
	_cleanup_(files_done) struct files files = files_of(TEST_KEY_P256, "PRIVATE KEY");
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(8192);
	struct span chain = buf_span(&files.chain), key = buf_span(&files.key);
	struct why why = {0};
	assert_int_equal(parse(SPAN_LITERAL(""), key, &why), ERR_NO_CERTIFICATE);
	assert_int_equal(parse(chain, chain, &why), ERR_MALFORMED);
	assert_string_equal(why.got, "there is no private key");
	assert_int_equal(parse(chain, SPAN_LITERAL(""), &why), ERR_MALFORMED);
	assert_int_equal(pem_encode("ENCRYPTED PRIVATE KEY", SPAN_LITERAL("sealed"), &sealed), ERR_NONE);
	assert_int_equal(parse(chain, buf_span(&sealed), &why), ERR_UNSUPPORTED);
}

static void bounds_the_chain(void **state)
{
	(void)state;
	_cleanup_(files_done) struct files files = files_of(TEST_KEY_P256, "PRIVATE KEY");
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(files.cert);
	struct span chain[WEB_IDENTITY_CHAIN_MAX + 1];
	for (size_t i = 0; i <= WEB_IDENTITY_CHAIN_MAX; i++)
		chain[i] = test_cert_der(files.cert);
	struct web_identity *identity = NULL;
	struct why why = {0};
	assert_int_equal(web_identity_new(chain, WEB_IDENTITY_CHAIN_MAX + 1, key, &identity, &why), ERR_TOO_LARGE);
	assert_int_equal(web_identity_new(chain, WEB_IDENTITY_CHAIN_MAX, key, &identity, &why), ERR_NONE);
	web_identity_unref(identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_each_form_of_a_key),
		cmocka_unit_test(refuses_the_key_of_another_certificate),
		cmocka_unit_test(refuses_what_is_missing_or_encrypted),
		cmocka_unit_test(bounds_the_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
