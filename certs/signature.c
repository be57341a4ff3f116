#include "certs/signature.h"
#include "certs/digest.h"
#include <string.h>

#define REMEMBERED                                                                                                     \
	64 /* the oldest is replaced; a trust state has at most 32 roots per trust domain, usually 1 or 2              \
	    */

struct pair {
	uint8_t authority[DIGEST_LEN], object[DIGEST_LEN];
};

static _Thread_local struct {
	struct pair pairs[REMEMBERED];
	size_t num, next;
	unsigned num_computed;
} memory;

static bool is_remembered(const struct pair *pair)
{
	for (size_t i = 0; i < memory.num; i++)
		if (memcmp(&memory.pairs[i], pair, sizeof(*pair)) == 0)
			return true;
	return false;
}

static void remember(const struct pair *pair)
{
	memory.pairs[memory.next] = *pair;
	memory.next = (memory.next + 1) % REMEMBERED;
	memory.num += memory.num < REMEMBERED;
}

/* The outcome of a computation that the caller made. */
static bool note(const struct pair *pair, bool is_hashed, int verified)
{
	memory.num_computed++;
	ERR_clear_error();
	if (verified == 1 && is_hashed)
		remember(pair);
	return verified == 1;
}

bool signature_of_cert_is_by(const X509 *cert, X509 *authority)
{
	struct pair pair;
	bool is_hashed = X509_digest(authority, EVP_sha256(), pair.authority, NULL) == 1 &&
			 X509_digest(cert, EVP_sha256(), pair.object, NULL) == 1;
	if (is_hashed && is_remembered(&pair))
		return true;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(authority);
	return note(&pair, is_hashed, key != NULL ? X509_verify((X509 *)cert, key) : 0);
}

bool signature_of_crl_is_by(X509_CRL *crl, X509 *authority)
{
	struct pair pair;
	bool is_hashed = X509_digest(authority, EVP_sha256(), pair.authority, NULL) == 1 &&
			 X509_CRL_digest(crl, EVP_sha256(), pair.object, NULL) == 1;
	if (is_hashed && is_remembered(&pair))
		return true;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(authority);
	return note(&pair, is_hashed, key != NULL ? X509_CRL_verify(crl, key) : 0);
}

unsigned signature_num_computed(void)
{
	return memory.num_computed;
}
