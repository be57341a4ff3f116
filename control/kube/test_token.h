/* For tests: keys that sign tokens as an API server does, made when they are needed. */
#pragma once

#include "base/core/buf.h"
#include "certs/web_key.h"

#define TEST_ISSUER "https://kubernetes.default.svc.cluster.local"
#define TEST_NOW_S  1800000000
#define TEST_UID    "01de9771-360f-4911-b911-f104d39d3813"

/* What the claims of a good token are; each part can be left out or replaced. Times of 0 are left out. */
struct test_claims {
	const char *issuer, *audience, *subject, *about; /* audience: JSON; about: the object kubernetes.io, JSON */
	long long expires_s, not_before_s, issued_s;
};
struct test_claims test_claims(void); /* of pod cart-1, account cart, namespace shop, for the audience handfast */

struct test_signer;
struct test_signer *test_signer_new(const char *kid, enum web_signature alg, unsigned rsa_bits);
void test_signer_free(struct test_signer *signer);
/* A row of a key set. The caller frees the texts. */
char *test_signer_row(const struct test_signer *signer);
char *test_signer_set(const struct test_signer *signer); /* a key set with this key alone */
char *test_signer_header(const struct test_signer *signer);
char *test_claims_json(const struct test_claims *claims);
/* The compact form of header and claims, whatever they are, signed. */
char *test_signer_sign(const struct test_signer *signer, const char *header, const char *claims);
char *test_signer_token(const struct test_signer *signer, const struct test_claims *claims);
char *test_base64url(struct span bytes);
