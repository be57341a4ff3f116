#include "certs/cert_rules.h"
#include "certs/boringssl.h"

#define RULE_FIX "reissue the certificate with a certificate authority for SPIFFE"
#define LEAF     "the leaf"

static enum err not_svid(struct why *why, const char *expected, const char *which, const char *got)
{
	return why_set(why, ERR_NOT_SVID, expected, RULE_FIX, "%s %s", which, got);
}

static bool has_critical(const X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);
	return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(cert, at));
}

static bool has_extension(const X509 *cert, int nid)
{
	return X509_get_ext_by_NID(cert, nid, -1) >= 0;
}

static bool has_empty_subject(const X509 *cert)
{
	return X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
}

static struct span uri_of(const GENERAL_NAME *name)
{
	const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
	return span_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
}

/* The n-th URI SAN; false when there are fewer. */
static bool nth_uri(const GENERAL_NAMES *names, size_t n, struct span *out)
{
	for (size_t i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI || n-- > 0)
			continue;
		*out = uri_of(name);
		return true;
	}
	return false;
}

static bool has_too_many_names(const X509 *cert, const GENERAL_NAMES *names)
{
	if (X509_NAME_entry_count(X509_get_subject_name(cert)) > CERT_NAMES_MAX)
		return true;
	return names != NULL && sk_GENERAL_NAME_num(names) > CERT_NAMES_MAX;
}

/* X509-SVID 2: with more than one URI SAN the identity is ambiguous. */
static enum err check_leaf_name(const X509 *cert, struct spiffe_id *out_id, struct why *why)
{
	static const char expected[] = "exactly one URI SAN, a SPIFFE ID";
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct span uri, second;
	if (has_too_many_names(cert, names))
		return not_svid(why, "at most 64 names", LEAF, "has more names");
	if (names == NULL || !nth_uri(names, 0, &uri))
		return not_svid(why, expected, LEAF, "has no URI SAN");
	if (nth_uri(names, 1, &second))
		return not_svid(why, expected, LEAF, "has more than one URI SAN");
	if (has_empty_subject(cert) && !has_critical(cert, NID_subject_alt_name)) /* RFC 5280 4.2.1.6 */
		return not_svid(why, "a critical SAN where the subject is empty", LEAF,
			"has an empty subject and no critical SAN");
	struct why inner = {0};
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	if (spiffe_id_parse(uri, &id, &inner) != ERR_NONE)
		return not_svid(why, inner.expected, "the leaf's URI SAN is not a SPIFFE ID:", inner.got);
	if (spiffe_id_path(&id).len == 0)
		return not_svid(why, "a SPIFFE ID with a path", LEAF, "has a SPIFFE ID without a path");
	*out_id = id;
	id = (struct spiffe_id){0};
	return ERR_NONE;
}

/* X509-SVID 4.3. */
static enum err check_leaf_usage(X509 *cert, struct why *why)
{
	static const char expected[] = "a critical keyUsage with digitalSignature, without keyCertSign and cRLSign";
	if (!has_extension(cert, NID_key_usage))
		return not_svid(why, expected, LEAF, "has no keyUsage");
	if (!has_critical(cert, NID_key_usage))
		return not_svid(why, expected, LEAF, "has a keyUsage that is not critical");
	uint32_t usage = X509_get_key_usage(cert);
	if ((usage & X509v3_KU_KEY_CERT_SIGN) != 0)
		return not_svid(why, expected, LEAF, "has keyCertSign");
	if ((usage & X509v3_KU_CRL_SIGN) != 0)
		return not_svid(why, expected, LEAF, "has cRLSign");
	if ((usage & X509v3_KU_DIGITAL_SIGNATURE) == 0)
		return not_svid(why, expected, LEAF, "lacks digitalSignature");
	return ERR_NONE;
}

struct purposes {
	bool server, client, any;
};

static struct purposes purposes_of(const X509 *cert)
{
	struct purposes found = {0};
	_cleanup_(EXTENDED_KEY_USAGE_freep) EXTENDED_KEY_USAGE *usages =
		X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	for (size_t i = 0; usages != NULL && i < sk_ASN1_OBJECT_num(usages); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));
		found.server |= nid == NID_server_auth;
		found.client |= nid == NID_client_auth;
		found.any |= nid == NID_anyExtendedKeyUsage;
	}
	return found;
}

/* X509-SVID 4.4: a workload is both a server and a client. */
static enum err check_leaf_purposes(const X509 *cert, struct why *why)
{
	static const char expected[] = "an extendedKeyUsage with serverAuth and clientAuth, or none";
	if (!has_extension(cert, NID_ext_key_usage))
		return ERR_NONE;
	struct purposes purposes = purposes_of(cert);
	if (purposes.any)
		return not_svid(why, expected, LEAF, "has anyExtendedKeyUsage");
	if (!purposes.server || !purposes.client)
		return not_svid(why, expected, LEAF, "lacks serverAuth or clientAuth");
	return ERR_NONE;
}

enum err cert_check_leaf(X509 *cert, struct spiffe_id *out_id, struct why *why)
{
	if ((X509_get_extension_flags(cert) & EXFLAG_CA) != 0)
		return not_svid(why, "a leaf with cA false", LEAF, "is a certificate authority");
	RETURN_IF_ERR(check_leaf_usage(cert, why));
	RETURN_IF_ERR(check_leaf_purposes(cert, why));
	return check_leaf_name(cert, out_id, why);
}

/* X509-SVID 3.2: a signing certificate stands for its whole trust domain. URIs of other schemes are ignored. */
static enum err check_issuer_name(const X509 *cert, struct span domain, const char *which, struct why *why)
{
	static const char expected[] = "a signing certificate whose SPIFFE ID is its bare trust domain";
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct span uri;
	if (has_too_many_names(cert, names))
		return not_svid(why, "at most 64 names", which, "has more names");
	for (size_t i = 0; names != NULL && nth_uri(names, i, &uri); i++) {
		if (uri.len < 7 || OPENSSL_strncasecmp((const char *)uri.ptr, "spiffe:", 7) != 0)
			continue;
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		if (spiffe_id_parse(uri, &id, NULL) != ERR_NONE)
			return not_svid(why, expected, which, "has a malformed SPIFFE ID");
		if (spiffe_id_path(&id).len != 0)
			return not_svid(why, expected, which, "has a SPIFFE ID with a path");
		if (!span_eq(spiffe_id_trust_domain(&id), domain))
			return not_svid(why, expected, which, "has a SPIFFE ID of another trust domain");
	}
	return ERR_NONE;
}

static bool is_checked_constraint(const GENERAL_SUBTREE *subtree)
{
	int type = subtree->base->type;
	return type == GEN_DNS || type == GEN_URI || type == GEN_EMAIL || type == GEN_DIRNAME;
}

static bool are_checked_constraints(const STACK_OF(GENERAL_SUBTREE) * subtrees)
{
	if (subtrees != NULL && sk_GENERAL_SUBTREE_num(subtrees) > CERT_CONSTRAINTS_MAX)
		return false;
	for (size_t i = 0; subtrees != NULL && i < sk_GENERAL_SUBTREE_num(subtrees); i++)
		if (!is_checked_constraint(sk_GENERAL_SUBTREE_value(subtrees, i)))
			return false;
	return true;
}

/* BoringSSL ignores constraints of kinds that it does not support (addresses): refuse them instead. */
static enum err check_constraints(const X509 *cert, const char *which, struct why *why)
{
	_cleanup_(NAME_CONSTRAINTS_freep) NAME_CONSTRAINTS *constraints =
		X509_get_ext_d2i(cert, NID_name_constraints, NULL, NULL);
	if (constraints == NULL)
		return ERR_NONE;
	if (!are_checked_constraints(constraints->permittedSubtrees) ||
		!are_checked_constraints(constraints->excludedSubtrees))
		return not_svid(why, "at most 64 name constraints, of kinds URI, DNS, email or directory name", which,
			"has more, or other kinds");
	return ERR_NONE;
}

static enum err check_issuer_usage(X509 *cert, bool is_root, const char *which, struct why *why)
{
	static const char expected[] = "a signing certificate: cA true and keyUsage with keyCertSign";
	if ((X509_get_extension_flags(cert) & EXFLAG_CA) == 0)
		return not_svid(why, expected, which, "is not a certificate authority");
	if (!has_extension(cert, NID_key_usage)) {
		if (is_root)
			return ERR_NONE;
		return not_svid(why, expected, which, "has no keyUsage");
	}
	if ((X509_get_key_usage(cert) & X509v3_KU_KEY_CERT_SIGN) == 0)
		return not_svid(why, expected, which, "lacks keyCertSign");
	return ERR_NONE;
}

enum err cert_check_issuer(X509 *cert, bool is_root, struct span domain, const char *which, struct why *why)
{
	RETURN_IF_ERR(check_issuer_usage(cert, is_root, which, why));
	struct purposes purposes = purposes_of(cert);
	if (has_extension(cert, NID_ext_key_usage) && !purposes.any && !(purposes.server && purposes.client))
		return not_svid(why, "an authority for serverAuth and clientAuth", which, "lacks one of them");
	if (has_empty_subject(cert))
		return not_svid(why, "a signing certificate with a subject", which, "has an empty subject");
	RETURN_IF_ERR(check_constraints(cert, which, why));
	return check_issuer_name(cert, domain, which, why);
}
