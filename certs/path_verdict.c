#include "certs/path_verdict.h"
#include "base/core/date.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include <stdio.h>

#define SUBJECT_SHOWN 48
#define NAME_SHOWN    160

enum err path_explain_expired(const X509 *cert, const char *which, int64_t now_s, struct why *why)
{
	char name[NAME_SHOWN], ended[DATE_TEXT_MAX], now[DATE_TEXT_MAX];
	return why_set(why, ERR_EXPIRED, "a chain whose certificates are all valid now",
		"if that is not the time, set this host's clock; else find out why it was not renewed: see its "
		"owner's log and clock",
		"%s (%s) expired at %s; the time is %s", which, cert_name(cert, name, sizeof(name)),
		date_format(cert_not_after_s(cert), ended), date_format(now_s, now));
}

static enum err explain_not_yet_valid(const X509 *cert, const char *which, int64_t now_s, struct why *why)
{
	char name[NAME_SHOWN], begins[DATE_TEXT_MAX], now[DATE_TEXT_MAX];
	return why_set(why, ERR_NOT_YET_VALID, "a chain whose certificates are all valid now",
		"if that is not the time, set this host's clock; else compare the clocks of the peer and of the "
		"control plane",
		"%s (%s) is not valid before %s; the time is %s", which, cert_name(cert, name, sizeof(name)),
		date_format(cert_not_before_s(cert), begins), date_format(now_s, now));
}

enum err path_explain_revoked(const X509 *cert, const char *which, struct why *why)
{
	char name[NAME_SHOWN];
	return why_set(why, ERR_REVOKED, "a chain without revoked certificates",
		"if the revocation was an error, issue a new certificate", "%s (%s) is revoked", which,
		cert_name(cert, name, sizeof(name)));
}

static enum err explain_untrusted(int error, const X509 *cert, const char *which, struct why *why)
{
	char name[NAME_SHOWN] = "unknown";
	if (cert != NULL)
		cert_name(cert, name, sizeof(name));
	return why_set(why, ERR_UNTRUSTED, "a chain to a root of the trust domain's bundle",
		"compare the trust bundles of both sides with the issuer of the certificate",
		"%s (%s) is not trusted: %s", which, name, X509_verify_cert_error_string(error));
}

enum err path_explain_no_root(const struct svid *svid, const X509 *last, size_t num_roots, struct why *why)
{
	char subject[SUBJECT_SHOWN];
	struct span domain = spiffe_id_trust_domain(svid_id(svid));
	return why_set(why, ERR_UNTRUSTED, "a chain to a root of the trust domain's bundle",
		"compare the trust bundles of both sides with the issuer of the certificate",
		"none of the %zu roots of %.*s signed a certificate of the chain; its last certificate is %s",
		num_roots, (int)(domain.len > 80 ? 80 : domain.len), (const char *)domain.ptr,
		cert_subject(last, subject, sizeof(subject)));
}

static const char *place_of(const X509 *cert, X509 *const *sent, size_t num_sent, const X509 *root)
{
	for (size_t i = 0; i < num_sent; i++)
		if (sent[i] == cert)
			return svid_place(i);
	return cert == root ? "the root" : "the chain";
}

enum err path_explain_verdict(const X509_STORE_CTX *context, X509 *const *sent, size_t num_sent, const X509 *root,
	int64_t now_s, struct why *why)
{
	X509_STORE_CTX *mutable_context = (X509_STORE_CTX *)context; /* BoringSSL's getters lack const */
	int error = X509_STORE_CTX_get_error(mutable_context);
	const X509 *cert = X509_STORE_CTX_get_current_cert(mutable_context);
	const char *which = place_of(cert, sent, num_sent, root);
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return path_explain_expired(cert, which, now_s, why);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return explain_not_yet_valid(cert, which, now_s, why);
	}
	return explain_untrusted(error, cert, which, why); /* any other error */
}
