#include "certs/svid.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/cert_rules.h"
#include <stdatomic.h>

/* Stores the bytes in the shared pool and the parsed fields that are used; no X509. */
struct svid {
	atomic_uint refs;
	size_t num_chain;
	CRYPTO_BUFFER *chain[SVID_CHAIN_MAX];
	struct spiffe_id id;
	int64_t not_before_s, not_after_s;
	uint8_t serial[20];
	size_t serial_len;
	uint8_t chain_hash[SHA256_DIGEST_LENGTH];
};

const char *svid_place(size_t i)
{
	static const char *const places[SVID_CHAIN_MAX] = {
		"the leaf", "certificate 2 of the chain", "certificate 3 of the chain", "certificate 4 of the chain"};
	return i < SVID_CHAIN_MAX ? places[i] : "a certificate of the chain";
}

void svid_digest_chain(const struct span *chain, size_t num_chain, uint8_t out[32])
{
	SHA256_CTX context;
	SHA256_Init(&context);
	for (size_t i = 0; i < num_chain; i++) {
		/* Each length first: chains that differ only in where one certificate ends must have different hashes.
		 */
		const uint64_t len = chain[i].len;
		SHA256_Update(&context, &len, sizeof(len));
		SHA256_Update(&context, chain[i].ptr, chain[i].len);
	}
	SHA256_Final(out, &context);
}

static void svid_free(struct svid *svid)
{
	for (size_t i = 0; i < svid->num_chain; i++)
		CRYPTO_BUFFER_free(svid->chain[i]);
	spiffe_id_done(&svid->id);
	mem_free(svid);
}
DEFINE_CLEANUP(struct svid *, svid_free)

static enum err take_leaf(struct svid *svid, X509 *leaf, struct why *why)
{
	RETURN_IF_ERR(cert_check_leaf(leaf, &svid->id, why));
	svid->not_before_s = cert_not_before_s(leaf);
	svid->not_after_s = cert_not_after_s(leaf);
	struct span serial = cert_serial(leaf);
	svid->serial_len = serial.len;
	CHECK(serial.len <= sizeof(svid->serial)); /* cert_parse() checked it */
	memcpy(svid->serial, serial.ptr, serial.len);
	return ERR_NONE;
}

static enum err take_cert(struct svid *svid, struct span der, struct why *why)
{
	size_t at = svid->num_chain;
	CHECK(at < SVID_CHAIN_MAX);
	RETURN_IF_ERR(cert_buffer_new(der, svid_place(at), &svid->chain[at], why));
	svid->num_chain++;
	_cleanup_(X509_freep) X509 *cert = NULL;
	RETURN_IF_ERR(cert_parse(svid->chain[at], svid_place(at), &cert, why));
	if (at == 0)
		return take_leaf(svid, cert, why);
	if (cert_not_after_s(cert) < svid->not_after_s)
		svid->not_after_s = cert_not_after_s(cert);
	return cert_check_issuer(cert, false, spiffe_id_trust_domain(&svid->id), svid_place(at), why);
}

enum err svid_parse(const struct span *chain, size_t num_chain, struct svid **out, struct why *why)
{
	static const char fix[] = "present the leaf and its intermediates only";
	if (num_chain == 0)
		return why_set(why, ERR_NO_CERTIFICATE, "a certificate chain", fix, "the chain has no certificate");
	if (num_chain > SVID_CHAIN_MAX)
		return why_set(
			why, ERR_NOT_SVID, "at most 4 certificates", fix, "the chain has %zu certificates", num_chain);
	_cleanup_(svid_freep) struct svid *svid = mem_new(struct svid);
	atomic_init(&svid->refs, 1);
	for (size_t i = 0; i < num_chain; i++)
		RETURN_IF_ERR(take_cert(svid, chain[i], why));
	svid_digest_chain(chain, num_chain, svid->chain_hash);
	*out = TAKE_PTR(svid);
	return ERR_NONE;
}

struct svid *svid_ref(struct svid *svid)
{
	unsigned before = atomic_fetch_add_explicit(&svid->refs, 1, memory_order_relaxed);
	CHECK(before > 0 && before < UINT32_MAX);
	return svid;
}

void svid_unref(struct svid *svid)
{
	if (svid == NULL)
		return;
	unsigned before = atomic_fetch_sub_explicit(&svid->refs, 1, memory_order_acq_rel);
	CHECK(before > 0);
	if (before == 1)
		svid_free(svid);
}

const struct spiffe_id *svid_id(const struct svid *svid)
{
	return &svid->id;
}

int64_t svid_not_before_s(const struct svid *svid)
{
	return svid->not_before_s;
}

int64_t svid_not_after_s(const struct svid *svid)
{
	return svid->not_after_s;
}

struct span svid_serial(const struct svid *svid)
{
	return span_of(svid->serial, svid->serial_len);
}

size_t svid_num_chain(const struct svid *svid)
{
	return svid->num_chain;
}

struct span svid_cert(const struct svid *svid, size_t i)
{
	const CRYPTO_BUFFER *buffer = svid_get0_buffer(svid, i);
	return span_of(CRYPTO_BUFFER_data(buffer), CRYPTO_BUFFER_len(buffer));
}

const uint8_t *svid_chain_hash(const struct svid *svid)
{
	return svid->chain_hash;
}

bool svid_eq(const struct svid *a, const struct svid *b)
{
	return memcmp(a->chain_hash, b->chain_hash, sizeof(a->chain_hash)) == 0;
}

enum err svid_public_key(const struct svid *svid, struct buf *out_spki_der)
{
	_cleanup_(X509_freep) X509 *leaf = cert_parse_again(svid->chain[0]);
	uint8_t *der = NULL;
	int der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	CHECK(der_len > 0);
	enum err err = buf_append(out_spki_der, span_of(der, (size_t)der_len));
	OPENSSL_free(der);
	return err;
}

CRYPTO_BUFFER *svid_get0_buffer(const struct svid *svid, size_t i)
{
	CHECK(i < svid->num_chain);
	return svid->chain[i];
}
