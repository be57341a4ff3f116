#include "certs/verify_web.h"
#include "base/core/addr.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/pem.h"
#include "certs/public_key.h"
#include "certs/sent_chain.h"
#include "certs/signature.h"
#include "certs/web_roots.h"
#include <stdio.h>

#define SUBJECT_SHOWN 64
#define ROOTS_FIX     "give the CA certificates in PEM (RFC 7468)"

/* --- roots --- */

void web_roots_free(struct web_roots *roots)
{
	if (roots == NULL)
		return;
	sk_X509_pop_free(roots->certs, X509_free);
	mem_free(roots);
}

static X509 *parse(struct span der)
{
	if (der.len > CERT_MAX)
		return NULL;
	_cleanup_(CRYPTO_BUFFER_freep) CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
	X509 *cert = buffer != NULL ? X509_parse_from_buffer(buffer) : NULL;
	ERR_clear_error();
	return cert;
}

static enum err take_root(void *arg, struct span der, struct why *why)
{
	struct web_roots *roots = arg;
	size_t num = sk_X509_num(roots->certs);
	if (num == WEB_ROOTS_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 256 CA certificates", ROOTS_FIX, "there are more");
	X509 *cert = parse(der);
	if (cert == NULL)
		return why_set(why, ERR_MALFORMED, "CA certificates", ROOTS_FIX,
			"CA certificate %zu does not parse (%zu bytes)", num + 1, der.len);
	CHECK(sk_X509_push(roots->certs, cert) > 0);
	return ERR_NONE;
}

enum err web_roots_parse(struct span pem, struct web_roots **out, struct why *why)
{
	_cleanup_(web_roots_freep) struct web_roots *roots = mem_new(struct web_roots);
	const struct pem_list certificates = {"CERTIFICATE", "CA certificate", "CA certificates", ROOTS_FIX, take_root};
	roots->certs = sk_X509_new_null();
	CHECK(roots->certs != NULL);
	RETURN_IF_ERR(pem_read_list(&certificates, pem, roots, why));
	*out = TAKE_PTR(roots);
	return ERR_NONE;
}

static bool is_valid_at(const X509 *cert, int64_t now_s)
{
	return X509_cmp_time_posix(X509_get0_notBefore(cert), now_s) < 0 &&
	       X509_cmp_time_posix(X509_get0_notAfter(cert), now_s) > 0;
}

STACK_OF(X509) * web_roots_valid_first(const struct web_roots *roots, int64_t now_s)
{
	STACK_OF(X509) *sorted = sk_X509_new_null();
	CHECK(sorted != NULL);
	for (int wants_valid = 1; wants_valid >= 0; wants_valid--)
		for (size_t i = 0; i < sk_X509_num(roots->certs); i++)
			if (is_valid_at(sk_X509_value(roots->certs, i), now_s) == wants_valid)
				CHECK(sk_X509_push(sorted, sk_X509_value(roots->certs, i)) > 0);
	CHECK(sk_X509_num(sorted) == sk_X509_num(roots->certs));
	return sorted;
}

/* --- the chain --- */

static enum err take_chain(const struct verify_web_input *input, struct sent_chain *sent, struct why *why)
{
	static const char fix[] = "correct the server's certificate file";
	if (input->num_chain == 0)
		return why_set(why, ERR_NO_CERTIFICATE, "a certificate chain", fix, "the server sent no certificate");
	if (input->num_chain > WEB_CHAIN_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 8 certificates", fix, "the server sent %zu certificates",
			input->num_chain);
	for (size_t i = 0; i < input->num_chain; i++) {
		X509 *cert = parse(input->chain[i]);
		if (cert == NULL)
			return why_set(why, ERR_MALFORMED, "an X.509 certificate", fix,
				"certificate %zu of the server's chain does not parse (%zu bytes)", i + 1,
				input->chain[i].len);
		sent_chain_add(sent, cert);
	}
	return ERR_NONE;
}

static enum err check_leaf_key(X509 *leaf, struct why *why)
{
	struct why inner = {0};
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(leaf);
	enum err err = public_key_check_evp(key, &inner);
	ERR_clear_error();
	if (err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, err, inner.expected, "give the server a certificate for such a key",
		"the server's certificate: %s", inner.got);
}

/* BoringSSL refuses MD5 but accepts SHA-1, for which collisions are made. An anchor's own signature is not used. */
static enum err check_signatures(const STACK_OF(X509) * path, struct why *why)
{
	char subject[SUBJECT_SHOWN];
	for (size_t i = 0; i + 1 < sk_X509_num(path); i++) {
		const X509_ALGOR *algorithm;
		X509_get0_signature(NULL, &algorithm, sk_X509_value(path, i));
		if (!signature_algorithm_is_allowed(algorithm))
			return why_set(why, ERR_WEAK_KEY, "signatures with SHA-256 or better",
				"reissue the certificate with SHA-256", "the certificate of %s is signed with %s",
				cert_subject(sk_X509_value(path, i), subject, sizeof(subject)),
				signature_algorithm_name(algorithm));
	}
	return ERR_NONE;
}

static void set_name(X509_VERIFY_PARAM *param, const char *name)
{
	struct ip_addr ip;
	if (ip_addr_parse(span_of_str(name), &ip) == ERR_NONE) {
		struct span bytes = ip_addr_bytes(&ip);
		CHECK(X509_VERIFY_PARAM_set1_ip(param, bytes.ptr, bytes.len));
		return;
	}
	CHECK(X509_VERIFY_PARAM_set1_host(param, name, strlen(name)));
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT); /* RFC 6125 6.4.4: no CN */
}

static enum err explain(X509_STORE_CTX *context, const struct verify_web_input *input, struct why *why)
{
	char subject[SUBJECT_SHOWN] = "unknown";
	int error = X509_STORE_CTX_get_error(context);
	const X509 *cert = X509_STORE_CTX_get_current_cert(context);
	if (cert != NULL)
		cert_subject(cert, subject, sizeof(subject));
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return why_set(why, ERR_EXPIRED, "a chain whose certificates are all valid now",
			"renew the server's certificate, or correct this machine's clock",
			"the server's certificate (subject %s) has expired", subject);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return why_set(why, ERR_NOT_YET_VALID, "a chain whose certificates are all valid now",
			"compare the clocks of both machines", "the server's certificate (subject %s) is not valid yet",
			subject);
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return why_set(why, ERR_WRONG_PEER, "a certificate for the name or address that was asked for",
			"correct the server's address, or add the name to its certificate",
			"the server's certificate (subject %s) is not for %.128s", subject, input->name);
	}
	return why_set(why, ERR_UNTRUSTED, "a chain to one of the CA certificates",
		"compare the CA certificates with the issuer of the server's certificate",
		"the server's certificate (subject %s) is not trusted: %s", subject,
		X509_verify_cert_error_string(error));
}

static enum err judge(X509_STORE_CTX *context, const struct verify_web_input *input, struct why *why)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
	CHECK(X509_STORE_CTX_set_default(context, "ssl_server")); /* purpose and trust: extendedKeyUsage serverAuth */
	X509_VERIFY_PARAM_set_time_posix(param, input->now_s);
	X509_VERIFY_PARAM_set_depth(param, WEB_CHAIN_MAX);
	/* A CA file may name an intermediate, or the server's own certificate, as anchor. */
	CHECK(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN));
	set_name(param, input->name);
	int ok = X509_verify_cert(context);
	ERR_clear_error();
	if (ok != 1)
		return explain(context, input, why);
	return check_signatures(X509_STORE_CTX_get0_chain(context), why);
}

enum err verify_web_chain(const struct verify_web_input *input, struct why *why)
{
	_cleanup_(sent_chain_done) struct sent_chain sent;
	sent_chain_init(&sent);
	RETURN_IF_ERR(take_chain(input, &sent, why));
	RETURN_IF_ERR(check_leaf_key(sent.leaf, why));
	_cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new(); /* empty */
	_cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *context = X509_STORE_CTX_new();
	CHECK(store != NULL && context != NULL && X509_STORE_CTX_init(context, store, sent.leaf, sent.others));
	STACK_OF(X509) *trusted = web_roots_valid_first(input->roots, input->now_s);
	X509_STORE_CTX_set0_trusted_stack(context, trusted);
	enum err err = judge(context, input, why);
	sk_X509_free(trusted);
	return err;
}
