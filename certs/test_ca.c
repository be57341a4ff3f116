#include "certs/test_ca.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include "certs/test_extensions.h"

struct test_cert {
	X509 *x509;
	EVP_PKEY *key;
	uint8_t *der;
	size_t der_len;
};

#define VALID_S 3600

struct test_cert_spec test_leaf_spec(const char *id)
{
	return (struct test_cert_spec){
		.names = {{TEST_NAME_URI, span_of_str(id)}},
		.is_san_critical = true,
		.has_basic_constraints = true,
		.path_length = -1,
		.key_usage = TEST_KU_DIGITAL_SIGNATURE,
		.is_key_usage_critical = true,
		.purposes = TEST_EKU_SERVER | TEST_EKU_CLIENT,
		.not_before_s = TEST_NOW_S - VALID_S,
		.not_after_s = TEST_NOW_S + VALID_S,
		.version = 3,
		.digest = "SHA256",
	};
}

struct test_cert_spec test_ca_spec(const char *subject)
{
	return (struct test_cert_spec){
		.subject = subject,
		.has_basic_constraints = true,
		.is_ca = true,
		.path_length = -1,
		.key_usage = TEST_KU_KEY_CERT_SIGN | TEST_KU_CRL_SIGN,
		.is_key_usage_critical = true,
		.not_before_s = TEST_NOW_S - VALID_S,
		.not_after_s = TEST_NOW_S + VALID_S,
		.version = 3,
		.digest = "SHA256",
	};
}

static EVP_PKEY *make_ec_key(int curve)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(curve);
	EVP_PKEY *key = EVP_PKEY_new();
	CHECK(ec != NULL && key != NULL && EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec));
	return key;
}

static EVP_PKEY *make_rsa_key(int bits, BN_ULONG exponent)
{
	RSA *rsa = RSA_new();
	BIGNUM *e = BN_new();
	EVP_PKEY *key = EVP_PKEY_new();
	CHECK(rsa != NULL && e != NULL && key != NULL && BN_set_word(e, exponent));
	CHECK(RSA_generate_key_ex(rsa, bits, e, NULL) && EVP_PKEY_assign_RSA(key, rsa));
	BN_free(e);
	return key;
}

static EVP_PKEY *make_ed25519_key(void)
{
	uint8_t public_bytes[ED25519_PUBLIC_KEY_LEN], private_bytes[ED25519_PRIVATE_KEY_LEN];
	ED25519_keypair(public_bytes, private_bytes);
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_bytes, 32);
	CHECK(key != NULL);
	return key;
}

static EVP_PKEY *make_key(enum test_key_kind kind)
{
	switch (kind) {
	case TEST_KEY_P256:
		return make_ec_key(NID_X9_62_prime256v1);
	case TEST_KEY_P384:
		return make_ec_key(NID_secp384r1);
	case TEST_KEY_P224:
		return make_ec_key(NID_secp224r1);
	case TEST_KEY_P521:
		return make_ec_key(NID_secp521r1);
	case TEST_KEY_ED25519:
		return make_ed25519_key();
	case TEST_KEY_RSA_1024:
		return make_rsa_key(1024, RSA_F4);
	case TEST_KEY_RSA_2048:
		return make_rsa_key(2048, RSA_F4);
	case TEST_KEY_RSA_4096:
		return make_rsa_key(4096, RSA_F4);
	case TEST_KEY_RSA_E3:
		return make_rsa_key(2048, RSA_3);
	}
	CHECK_UNREACHABLE();
}

static EVP_PKEY *key_for(const struct test_cert_spec *spec)
{
	if (spec->for_key == NULL)
		return make_key(spec->key);
	EVP_PKEY *key = private_key_get0_evp(spec->for_key);
	EVP_PKEY_up_ref(key);
	return key;
}

static void set_time(X509 *x509, int (*set)(X509 *, const ASN1_TIME *), int64_t seconds)
{
	ASN1_TIME *when = ASN1_TIME_set_posix(NULL, seconds);
	CHECK(when != NULL && set(x509, when));
	ASN1_TIME_free(when);
}

static void set_serial(X509 *x509, const struct test_cert_spec *spec)
{
	uint64_t random;
	RAND_bytes((uint8_t *)&random, sizeof(random));
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	if (spec->has_serial)
		CHECK(ASN1_INTEGER_set_int64(serial, spec->serial));
	else
		CHECK(ASN1_INTEGER_set_uint64(serial, (random >> 1) | 1));
	CHECK(X509_set_serialNumber(x509, serial));
	ASN1_INTEGER_free(serial);
}

static void set_subject(X509 *x509, const char *subject)
{
	if (subject != NULL)
		CHECK(X509_NAME_add_entry_by_txt(
			X509_get_subject_name(x509), "CN", MBSTRING_UTF8, (const uint8_t *)subject, -1, -1, 0));
}

static const EVP_MD *digest_for(const EVP_PKEY *signer, const char *digest)
{
	if (EVP_PKEY_id(signer) == EVP_PKEY_ED25519)
		return NULL;
	return strcmp(digest, "MD5") == 0 ? EVP_sha256() : EVP_get_digestbyname(digest);
}

/* BoringSSL does not sign with MD5: the algorithm's OID replaces that of SHA-256 in both places. */
static void claim_md5(struct test_cert *cert)
{
	static const uint8_t sha256_with_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b};
	for (size_t i = 0; i + sizeof(sha256_with_rsa) <= cert->der_len; i++)
		if (memcmp(cert->der + i, sha256_with_rsa, sizeof(sha256_with_rsa)) == 0)
			cert->der[i + sizeof(sha256_with_rsa) - 1] = 0x04;
}

static void begin_pss(EVP_MD_CTX *context, EVP_PKEY *signer)
{
	EVP_PKEY_CTX *parameters;
	EVP_MD_CTX_init(context);
	CHECK(EVP_DigestSignInit(context, &parameters, EVP_sha256(), NULL, signer) &&
		EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST));
}

/* BoringSSL signs with a salt of the hash's length alone: the length is replaced wherever it stands. */
static void claim_other_salt(uint8_t *der, size_t len)
{
	static const uint8_t salt_of_32[] = {0xa2, 0x03, 0x02, 0x01, 0x20};
	for (size_t i = 0; i + sizeof(salt_of_32) <= len; i++)
		if (memcmp(der + i, salt_of_32, sizeof(salt_of_32)) == 0)
			der[i + sizeof(salt_of_32) - 1]++;
}

static void sign(struct test_cert *cert, const struct test_cert_spec *spec, EVP_PKEY *signer)
{
	EVP_MD_CTX context;
	if (spec->pss == TEST_PSS_NONE) {
		CHECK(X509_sign(cert->x509, signer, digest_for(signer, spec->digest)) > 0);
		return;
	}
	begin_pss(&context, signer);
	CHECK(X509_sign_ctx(cert->x509, &context) > 0);
}

static void sign_crl(X509_CRL *crl, const struct test_crl_spec *spec, EVP_PKEY *signer)
{
	EVP_MD_CTX context;
	if (spec->pss == TEST_PSS_NONE) {
		CHECK(X509_CRL_sign(crl, signer, digest_for(signer, "SHA256")) > 0);
		return;
	}
	begin_pss(&context, signer);
	CHECK(X509_CRL_sign_ctx(crl, &context) > 0);
}

static void encode(struct test_cert *cert, const struct test_cert_spec *spec)
{
	int len = i2d_X509(cert->x509, &cert->der);
	CHECK(len > 0);
	cert->der_len = (size_t)len;
	if (strcmp(spec->digest, "MD5") == 0)
		claim_md5(cert);
	if (spec->pss == TEST_PSS_OTHER_SALT)
		claim_other_salt(cert->der, cert->der_len);
	if (spec->has_wrong_signature)
		cert->der[cert->der_len - 1] ^= 1;
}

struct test_cert *test_cert_new(const struct test_cert_spec *spec, const struct test_cert *issuer)
{
	struct test_cert *cert = mem_new(struct test_cert);
	cert->x509 = X509_new();
	cert->key = key_for(spec);
	if (issuer == NULL)
		issuer = cert;
	CHECK(X509_set_version(cert->x509, spec->version - 1) && X509_set_pubkey(cert->x509, cert->key));
	set_serial(cert->x509, spec);
	set_subject(cert->x509, spec->subject);
	CHECK(X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer->x509)));
	set_time(cert->x509, X509_set1_notBefore, spec->not_before_s);
	set_time(cert->x509, X509_set1_notAfter, spec->not_after_s);
	if (spec->version == 3)
		test_extensions_add(cert->x509, spec, issuer->x509);
	sign(cert, spec, issuer->key);
	encode(cert, spec);
	return cert;
}

void test_cert_free(struct test_cert *cert)
{
	if (cert == NULL)
		return;
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	OPENSSL_free(cert->der);
	mem_free(cert);
}

struct span test_cert_serial(const struct test_cert *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert->x509);
	return span_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

struct span test_cert_der(const struct test_cert *cert)
{
	return span_of(cert->der, cert->der_len);
}

EVP_PKEY *test_cert_get0_evp(const struct test_cert *cert)
{
	return cert->key;
}

struct private_key *test_cert_key(const struct test_cert *cert)
{
	CBB cbb;
	uint8_t *der;
	size_t der_len;
	struct private_key *key = NULL;
	CHECK(CBB_init(&cbb, 256) && EVP_marshal_private_key(&cbb, cert->key) && CBB_finish(&cbb, &der, &der_len));
	CHECK(private_key_parse(span_of(der, der_len), &key, NULL) == ERR_NONE);
	OPENSSL_free(der);
	return key;
}

struct test_crl_spec test_crl_spec(void)
{
	return (struct test_crl_spec){.this_update_s = TEST_NOW_S - VALID_S, .next_update_s = TEST_NOW_S + VALID_S};
}

static void set_crl_time(X509_CRL *crl, int (*set)(X509_CRL *, const ASN1_TIME *), int64_t seconds)
{
	ASN1_TIME *when = ASN1_TIME_set_posix(NULL, seconds);
	CHECK(when != NULL && set(crl, when));
	ASN1_TIME_free(when);
}

static void give_reason(X509_REVOKED *revoked, long reason)
{
	ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
	CHECK(value != NULL && ASN1_ENUMERATED_set(value, reason));
	CHECK(X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0));
	ASN1_ENUMERATED_free(value);
}

static void revoke(X509_CRL *crl, const struct test_cert *cert, const struct test_crl_spec *spec)
{
	int64_t when_s = spec->this_update_s;
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set_posix(NULL, when_s);
	CHECK(X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(cert->x509)));
	CHECK(X509_REVOKED_set_revocationDate(revoked, when));
	if (spec->has_remove_from_crl)
		give_reason(revoked, CRL_REASON_REMOVE_FROM_CRL);
	CHECK(X509_CRL_add0_revoked(crl, revoked));
	ASN1_TIME_free(when);
}

static void identify(X509_CRL *crl, const struct test_crl_spec *spec, const struct test_cert *issuer)
{
	AUTHORITY_KEYID *key = AUTHORITY_KEYID_new();
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer->x509);
	CHECK(key != NULL && number != NULL);
	key->keyid = id != NULL ? ASN1_OCTET_STRING_dup(id) : ASN1_OCTET_STRING_new();
	CHECK(ASN1_INTEGER_set_int64(number, spec->number != 0 ? spec->number : spec->this_update_s));
	if (!spec->leaves_key_id_out)
		CHECK(X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, key, 0, 0));
	if (!spec->leaves_number_out)
		CHECK(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0));
	AUTHORITY_KEYID_free(key);
	ASN1_INTEGER_free(number);
}

static void revoke_serial(X509_CRL *crl, uint32_t serial)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	ASN1_TIME *when = ASN1_TIME_set_posix(NULL, TEST_NOW_S);
	CHECK(ASN1_INTEGER_set_uint64(number, serial) && X509_REVOKED_set_serialNumber(entry, number));
	CHECK(X509_REVOKED_set_revocationDate(entry, when) && X509_CRL_add0_revoked(crl, entry));
	ASN1_INTEGER_free(number);
	ASN1_TIME_free(when);
}

void test_crl_make(const struct test_crl_spec *spec, const struct test_cert *issuer, struct buf *out)
{
	X509_CRL *crl = X509_CRL_new();
	uint8_t *der = NULL;
	CHECK(X509_CRL_set_version(crl, X509_CRL_VERSION_2));
	CHECK(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)));
	set_crl_time(crl, X509_CRL_set1_lastUpdate, spec->this_update_s);
	if (spec->next_update_s != 0)
		set_crl_time(crl, X509_CRL_set1_nextUpdate, spec->next_update_s);
	for (size_t i = 0; i < 4 && spec->revoked[i] != NULL; i++)
		revoke(crl, spec->revoked[i], spec);
	for (unsigned i = 1; i <= spec->num_others; i++)
		revoke_serial(crl, i);
	identify(crl, spec, issuer);
	if (spec->is_of_limited_scope)
		test_extensions_limit_scope(crl);
	sign_crl(crl, spec, issuer->key);
	int len = i2d_X509_CRL(crl, &der);
	CHECK(len > 0);
	if (spec->pss == TEST_PSS_OTHER_SALT)
		claim_other_salt(der, (size_t)len);
	if (spec->has_wrong_signature)
		der[len - 1] ^= 1;
	CHECK(buf_append(out, span_of(der, (size_t)len)) == ERR_NONE);
	OPENSSL_free(der);
	X509_CRL_free(crl);
}
