/* For tests: a certificate authority that makes valid and invalid certificates. Start with a valid specification,
 *change the field under test, make the certificate:
 *
 *	struct test_cert_spec spec = test_leaf_spec("spiffe://td.test/a");
 *	spec.key_usage &= ~TEST_KU_DIGITAL_SIGNATURE;
 *	struct test_cert *leaf = test_cert_new(&spec, root);
 *
 * It aborts when BoringSSL refuses a specification. Not for programs.
 */
#pragma once

#include "certs/private_key.h"

#define TEST_NOW_S ((int64_t)1800000000) /* 2027-01-15; specifications are valid an hour before and after */

enum test_key_kind {
	TEST_KEY_P256,
	TEST_KEY_P384,
	TEST_KEY_P224,
	TEST_KEY_P521,
	TEST_KEY_ED25519,
	TEST_KEY_RSA_1024,
	TEST_KEY_RSA_2048,
	TEST_KEY_RSA_4096,
	TEST_KEY_RSA_E3, /* 2048 bits, exponent 3 */
};

/* keyUsage bits as X.509 writes them. */
#define TEST_KU_DIGITAL_SIGNATURE 0x80
#define TEST_KU_KEY_CERT_SIGN     0x04
#define TEST_KU_CRL_SIGN          0x02
#define TEST_KU_NONE              (-1) /* no keyUsage extension */

/* extendedKeyUsage bits. */
#define TEST_EKU_SERVER 0x1
#define TEST_EKU_CLIENT 0x2
#define TEST_EKU_ANY    0x4
#define TEST_EKU_EMAIL  0x8
#define TEST_EKU_EMPTY  0x10 /* the extension without purposes */
#define TEST_EKU_NONE   0

enum test_name_kind {
	TEST_NAME_NONE,
	TEST_NAME_URI,
	TEST_NAME_DNS,
	TEST_NAME_EMAIL,
	TEST_NAME_IP,    /* `text` holds the raw bytes */
	TEST_NAME_OTHER, /* an otherName with a UTF8String */
};

struct test_name {
	enum test_name_kind kind;
	struct span text;
};
#define TEST_URI(literal) ((struct test_name){TEST_NAME_URI, SPAN_LITERAL(literal)})

struct test_extension {
	const char *oid; /* "1.2.3.4"; NULL: none */
	bool is_critical;
	struct span der; /* the value; empty: a DER NULL */
};

#define TEST_NAMES_MAX      6
#define TEST_EXTENSIONS_MAX 40

/* Signatures by RSASSA-PSS, of RSA issuers only. */
enum test_pss {
	TEST_PSS_NONE, /* another algorithm */
	TEST_PSS_SHA256,
	TEST_PSS_OTHER_SALT, /* it claims a salt of 33 bytes: the signature does not verify */
};

struct test_cert_spec {
	enum test_key_kind key;
	const struct private_key *for_key; /* certify this key instead of making one */
	const char *subject;               /* common name; NULL: empty subject */
	struct test_name names[TEST_NAMES_MAX];
	bool is_san_critical;
	bool has_second_san; /* the whole extension twice */
	bool has_basic_constraints, is_ca;
	int path_length; /* -1: none */
	int key_usage;
	bool is_key_usage_critical;
	unsigned purposes;                          /* TEST_EKU_* */
	struct test_name permitted[2], excluded[2]; /* name constraints */
	int64_t not_before_s, not_after_s;
	bool has_serial;          /* else a random one */
	int64_t serial;           /* may be 0 or negative */
	int version;              /* 3 */
	const char *digest;       /* "SHA256"; ignored for Ed25519; "MD5" with RSA issuers only */
	enum test_pss pss;        /* in place of `digest` */
	bool leaves_key_ids_out;  /* no subjectKeyIdentifier, no authorityKeyIdentifier */
	bool has_wrong_signature; /* its last bit flipped */
	struct test_extension extensions[TEST_EXTENSIONS_MAX];
};

/* A valid leaf: P-256, the URI SAN, empty subject, digitalSignature, both purposes. `id` must outlive the
 * specification. */
struct test_cert_spec test_leaf_spec(const char *id);
/* A valid authority: P-256, cA, keyCertSign and cRLSign, no SPIFFE ID. For roots and intermediates. */
struct test_cert_spec test_ca_spec(const char *subject);

struct test_cert;
struct test_cert *test_cert_new(const struct test_cert_spec *spec, const struct test_cert *issuer); /* NULL: itself */
void test_cert_free(struct test_cert *cert);
DEFINE_CLEANUP(struct test_cert *, test_cert_free)
struct span test_cert_serial(const struct test_cert *cert); /* borrowed */
struct span test_cert_der(const struct test_cert *cert);
/* Its key, a new reference; only for P-256 certificates made without for_key. */
struct private_key *test_cert_key(const struct test_cert *cert);
struct evp_pkey_st *test_cert_get0_evp(const struct test_cert *cert);

struct test_crl_spec {
	const struct test_cert *revoked[4];   /* NULL: none */
	unsigned num_others;                  /* entries with serials from 1 on */
	int64_t this_update_s, next_update_s; /* next 0: none */
	bool has_wrong_signature;
	bool has_remove_from_crl; /* the entries' reason is removeFromCRL */
	int64_t number;           /* 0: this_update_s */
	bool leaves_key_id_out, leaves_number_out;
	bool is_of_limited_scope; /* a critical issuingDistributionPoint */
	enum test_pss pss;
};
struct test_crl_spec test_crl_spec(void); /* empty, valid an hour before and after TEST_NOW_S */
/* Appends the DER to *out. */
void test_crl_make(const struct test_crl_spec *spec, const struct test_cert *issuer, struct buf *out);
