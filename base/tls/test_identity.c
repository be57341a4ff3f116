#include "base/tls/test_identity.h"
#include "base/core/check.h"
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { LIFETIME_S = 3600 };

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &context, nid, value);
	CHECK(extension != NULL && X509_add_ext(cert, extension, -1));
	X509_EXTENSION_free(extension);
}

static X509 *draft(const struct private_key *key, const X509_NAME *issuer, const char *name, long serial)
{
	X509 *cert = X509_new();
	CHECK(cert != NULL && X509_set_version(cert, X509_VERSION_3));
	CHECK(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial));
	CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), -LIFETIME_S));
	CHECK(X509_gmtime_adj(X509_getm_notAfter(cert), LIFETIME_S));
	CHECK(X509_NAME_add_entry_by_txt(
		X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0));
	CHECK(X509_set_issuer_name(cert, issuer != NULL ? (X509_NAME *)issuer : X509_get_subject_name(cert)));
	CHECK(X509_set_pubkey(cert, private_key_get0_evp(key)));
	return cert;
}

static struct span encode(X509 *cert, struct buf *out_der)
{
	uint8_t *der = NULL;
	int len = i2d_X509(cert, &der);
	CHECK(len > 0 && buf_append(out_der, span_of(der, (size_t)len)) == ERR_NONE);
	OPENSSL_free(der);
	return buf_span(out_der);
}

void test_authority_init(struct test_authority *authority)
{
	authority->key = private_key_generate();
	authority->root = draft(authority->key, NULL, "test root", 1);
	add_extension(authority->root, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(authority->root, NID_key_usage, "critical,keyCertSign,cRLSign");
	CHECK(X509_sign(authority->root, private_key_get0_evp(authority->key), EVP_sha256()));
}

void test_authority_done(struct test_authority *authority)
{
	X509_free(authority->root);
	private_key_unref(authority->key);
}

struct span test_authority_root(const struct test_authority *authority, struct buf *out_der)
{
	return encode(authority->root, out_der);
}

void test_identity_init(struct test_identity *identity, const struct test_authority *authority, const char *spiffe_id)
{
	char san[256];
	CHECK(snprintf(san, sizeof san, "URI:%s", spiffe_id) < (int)sizeof san);
	identity->key = private_key_generate();
	X509 *cert = draft(identity->key, X509_get_subject_name(authority->root), "test workload", 2);
	add_extension(cert, NID_basic_constraints, "critical,CA:FALSE");
	add_extension(cert, NID_key_usage, "critical,digitalSignature");
	add_extension(cert, NID_ext_key_usage, "serverAuth,clientAuth");
	add_extension(cert, NID_subject_alt_name, san);
	CHECK(X509_sign(cert, private_key_get0_evp(authority->key), EVP_sha256()));
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	struct span chain = encode(cert, &der);
	struct why why = {0};
	if (svid_parse(&chain, 1, &identity->svid, &why) != ERR_NONE) {
		char text[700];
		fprintf(stderr, "test identity: %s\n", why_format(&why, text, sizeof text));
		CHECK_UNREACHABLE();
	}
	X509_free(cert);
}

void test_identity_done(struct test_identity *identity)
{
	svid_unref(identity->svid);
	private_key_unref(identity->key);
}
