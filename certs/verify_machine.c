#include "certs/verify_machine.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/cert.h"
#include "certs/cert_rules.h"
#include "certs/crl.h"
#include "certs/digest.h"
#include "certs/pem.h"
#include "certs/public_key.h"
#include "certs/sent_chain.h"
#include "certs/svid.h"
#include "certs/web_roots.h"
#include <ctype.h>

#define SPKI_MAX      1024
#define LISTS_MAX     64
#define SUBJECT_SHOWN 64
#define MACHINE_FIX   "give the machine a certificate of the CA whose roots the control plane has"
#define LISTS_FIX     "give the revocation lists in PEM (RFC 7468), as the CA publishes them"

struct machine_crls {
	STACK_OF(X509_CRL) * lists;
};

/* --- revocation lists --- */

void machine_crls_free(struct machine_crls *crls)
{
	if (crls == NULL)
		return;
	sk_X509_CRL_pop_free(crls->lists, X509_CRL_free);
	mem_free(crls);
}

static enum err take_list(void *arg, struct span der, struct why *why)
{
	struct machine_crls *crls = arg;
	X509_CRL *list = NULL;
	if (sk_X509_CRL_num(crls->lists) == LISTS_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 64 revocation lists", LISTS_FIX, "there are more");
	RETURN_IF_ERR(crl_parse(der, &list, why));
	CHECK(sk_X509_CRL_push(crls->lists, list) > 0);
	return ERR_NONE;
}

enum err machine_crls_parse(struct span pem, struct machine_crls **out, struct why *why)
{
	_cleanup_(machine_crls_freep) struct machine_crls *crls = mem_new(struct machine_crls);
	const struct pem_list lists = {"X509 CRL", "revocation list", "revocation lists", LISTS_FIX, take_list};
	crls->lists = sk_X509_CRL_new_null();
	CHECK(crls->lists != NULL);
	RETURN_IF_ERR(pem_read_list(&lists, pem, crls, why));
	*out = TAKE_PTR(crls);
	return ERR_NONE;
}

/* --- the chain as it was sent --- */

/* cert.h explains itself with SPIFFE in mind. */
static enum err parse(struct span der, size_t i, X509 **out, struct why *why)
{
	_cleanup_(CRYPTO_BUFFER_freep) CRYPTO_BUFFER *buffer = NULL;
	struct why inner = {0};
	enum err err = cert_buffer_new(der, svid_place(i), &buffer, &inner);
	if (err == ERR_NONE)
		err = cert_parse(buffer, svid_place(i), out, &inner);
	if (err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, err == ERR_NOT_SVID ? ERR_MALFORMED : err, inner.expected, MACHINE_FIX, "%s", inner.got);
}

static enum err take_chain(const struct verify_machine_input *input, struct sent_chain *sent, struct why *why)
{
	if (input->num_chain == 0)
		return why_set(
			why, ERR_NO_CERTIFICATE, "a machine's certificate", MACHINE_FIX, "there is no certificate");
	if (input->num_chain > MACHINE_CHAIN_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 8 certificates",
			"leave out of the file what is not in the chain", "there are %zu", input->num_chain);
	for (size_t i = 0; i < input->num_chain; i++) {
		X509 *cert = NULL;
		RETURN_IF_ERR(parse(input->chain[i], i, &cert, why));
		sent_chain_add(sent, cert);
	}
	return ERR_NONE;
}

/* Before the path: who does not have the key costs no more than one signature. */
static enum err check_signature(const struct verify_machine_input *input, X509 *leaf, struct why *why)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(leaf);
	uint8_t *der = NULL;
	int len = key != NULL ? i2d_PUBKEY(key, &der) : -1;
	ERR_clear_error();
	if (len <= 0)
		return why_set(why, ERR_MALFORMED, "a public key", MACHINE_FIX, "the leaf's key does not parse");
	struct why inner = {0};
	enum err err = public_key_verify(span_of(der, (size_t)len), input->message, input->signature, &inner);
	OPENSSL_free(der);
	if (err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, err, "a signature over this connection by the key of the machine's certificate",
		"give the sidecar the certificate and the key that belong together", "%s", inner.got);
}

/* BoringSSL accepts a leaf without extendedKeyUsage for every purpose. */
static enum err check_leaf(X509 *leaf, struct why *why)
{
	const char *got = NULL;
	uint32_t flags = X509_get_extension_flags(leaf);
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	if ((flags & EXFLAG_CA) != 0)
		got = "is one of a CA";
	else if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(leaf) & XKU_SSL_CLIENT) == 0)
		got = "is not for clientAuth";
	else if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		got = "is not for digitalSignature";
	else if (names != NULL && sk_GENERAL_NAME_num(names) > CERT_NAMES_MAX)
		got = "has more than 64 names";
	ERR_clear_error();
	if (got == NULL)
		return ERR_NONE;
	return why_set(why, ERR_UNTRUSTED,
		"a certificate of a machine: no CA, extendedKeyUsage clientAuth, keyUsage, if any, digitalSignature",
		"let the CA issue one with extendedKeyUsage = clientAuth", "the machine's certificate %s", got);
}

/* --- the path --- */

static enum err explain(X509_STORE_CTX *context, struct why *why)
{
	char subject[SUBJECT_SHOWN] = "unknown";
	int error = X509_STORE_CTX_get_error(context);
	const X509 *cert = X509_STORE_CTX_get_current_cert(context);
	if (cert != NULL)
		cert_subject(cert, subject, sizeof(subject));
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return why_set(why, ERR_EXPIRED, "a chain whose certificates are all valid now",
			"renew the machine's certificate, or correct the control plane's clock",
			"the certificate of %s has expired", subject);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return why_set(why, ERR_NOT_YET_VALID, "a chain whose certificates are all valid now",
			"compare the clocks of the CA and of the control plane",
			"the certificate of %s is not valid yet", subject);
	case X509_V_ERR_CERT_REVOKED:
		return why_set(why, ERR_REVOKED, "certificates that the CA has not revoked", MACHINE_FIX,
			"the certificate of %s is on a revocation list", subject);
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
		return why_set(why, ERR_UNTRUSTED, "a fresh revocation list of each authority",
			"write the CA's present lists to the file of attestation.x509.crl",
			"for the certificate of %s there is none: %s", subject, X509_verify_cert_error_string(error));
	}
	return why_set(why, ERR_UNTRUSTED, "a chain to one of the roots of attestation.x509.roots", MACHINE_FIX,
		"the machine's certificate (subject %s) is not trusted: %s", subject,
		X509_verify_cert_error_string(error));
}

static void configure(X509_STORE_CTX *context, const struct verify_machine_input *input)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
	/* A roots file may name an intermediate as anchor. */
	unsigned long flags = X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN;
	CHECK(X509_STORE_CTX_set_default(context, "ssl_client")); /* extendedKeyUsage also of the authorities */
	if (input->crls != NULL) {
		X509_STORE_CTX_set0_crls(context, input->crls->lists);
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	}
	X509_VERIFY_PARAM_set_time_posix(param, input->now_s);
	X509_VERIFY_PARAM_set_depth(param, MACHINE_CHAIN_MAX);
	CHECK(X509_VERIFY_PARAM_set_flags(param, flags));
}

/* --- facts --- */

/* BoringSSL holds a common name against name constraints only where the leaf has no subjectAltName, and only as a DNS
 * name: below an authority with constraints it is not proven. */
static bool is_constrained(const STACK_OF(X509) * path)
{
	for (size_t i = 1; i < sk_X509_num(path); i++)
		if (X509_get_ext_by_NID(sk_X509_value(path, i), NID_name_constraints, -1) >= 0)
			return true;
	return false;
}

static void report_common_name(X509 *leaf, machine_fact_fn *on_fact, void *arg)
{
	const X509_NAME *name = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return;
	_cleanup_(OPENSSL_freep) uint8_t *text = NULL;
	int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	ERR_clear_error();
	if (len > 0)
		on_fact(arg, MACHINE_SUBJECT_CN, span_of(text, (size_t)len));
}

static void report_dns(struct span name, machine_fact_fn *on_fact, void *arg)
{
	uint8_t lower[256];
	if (name.len == 0 || name.len > sizeof lower)
		return;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = (uint8_t)(name.ptr[i] < 0x80 ? tolower(name.ptr[i]) : name.ptr[i]);
	on_fact(arg, MACHINE_SAN_DNS, span_of(lower, name.len));
}

static void report_names(X509 *leaf, machine_fact_fn *on_fact, void *arg)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	ERR_clear_error();
	for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		int type;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (type != GEN_DNS && type != GEN_URI)
			continue;
		struct span bytes = span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
		if (type == GEN_DNS)
			report_dns(bytes, on_fact, arg);
		else
			on_fact(arg, MACHINE_SAN_URI, bytes);
	}
}

static void report_authorities(const STACK_OF(X509) * path, machine_fact_fn *on_fact, void *arg)
{
	for (size_t i = 1; i < sk_X509_num(path); i++) {
		uint8_t *der = NULL, hash[DIGEST_LEN];
		int len = i2d_X509(sk_X509_value(path, i), &der);
		CHECK(len > 0); /* it was parsed from DER */
		digest_sha256(span_of(der, (size_t)len), hash);
		OPENSSL_free(der);
		on_fact(arg, MACHINE_CA_SHA256, span_of(hash, sizeof hash));
	}
}

enum err verify_machine_chain(
	const struct verify_machine_input *input, machine_fact_fn *on_fact, void *arg, struct why *why)
{
	_cleanup_(sent_chain_done) struct sent_chain sent;
	sent_chain_init(&sent);
	RETURN_IF_ERR(take_chain(input, &sent, why));
	RETURN_IF_ERR(check_leaf(sent.leaf, why));
	RETURN_IF_ERR(check_signature(input, sent.leaf, why));
	_cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new(); /* empty */
	_cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *context = X509_STORE_CTX_new();
	CHECK(store != NULL && context != NULL && X509_STORE_CTX_init(context, store, sent.leaf, sent.others));
	STACK_OF(X509) *trusted = web_roots_valid_first(input->roots, input->now_s);
	X509_STORE_CTX_set0_trusted_stack(context, trusted);
	configure(context, input);
	enum err err = X509_verify_cert(context) == 1 ? ERR_NONE : explain(context, why);
	ERR_clear_error();
	if (err == ERR_NONE) {
		if (!is_constrained(X509_STORE_CTX_get0_chain(context)))
			report_common_name(sent.leaf, on_fact, arg);
		report_names(sent.leaf, on_fact, arg);
		report_authorities(X509_STORE_CTX_get0_chain(context), on_fact, arg);
	}
	sk_X509_free(trusted);
	return err;
}
