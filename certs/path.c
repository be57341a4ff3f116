#include "certs/path.h"
#include "base/core/check.h"
#include "certs/boringssl.h"
#include "certs/cert.h"
#include "certs/crl.h"
#include "certs/path_verdict.h"

struct attempt {
	const struct path_input *input;
	X509 *certs[SVID_CHAIN_MAX]; /* the chain as sent, leaf first */
	size_t num_certs;
};

static void attempt_done(struct attempt *attempt)
{
	for (size_t i = 0; i < attempt->num_certs; i++)
		X509_free(attempt->certs[i]);
}

static void attempt_init(struct attempt *attempt, const struct path_input *input)
{
	*attempt = (struct attempt){.input = input};
	for (size_t i = 0; i < svid_num_chain(input->svid); i++) {
		CHECK(attempt->num_certs < SVID_CHAIN_MAX);
		attempt->certs[attempt->num_certs++] = cert_parse_again(svid_get0_buffer(input->svid, i));
	}
}

/* Compares name and key identifier only. BoringSSL tries one issuer per name, so each root that could have signed is
 * tried alone: roots with the same name (a rotation) must not hide each other. */
static bool is_candidate(const struct attempt *attempt, X509 *root)
{
	for (size_t i = 0; i < attempt->num_certs; i++)
		if (X509_check_issued(root, attempt->certs[i]) == X509_V_OK)
			return true;
	return false;
}

static void configure(X509_STORE_CTX *context, const struct path_input *input)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
	unsigned long flags = X509_V_FLAG_TRUSTED_FIRST;
	if (input->ignore_not_before || input->is_revalidation)
		flags |= X509_V_FLAG_NO_CHECK_TIME; /* check_not_after() checks notAfter */
	X509_VERIFY_PARAM_set_time_posix(param, input->now_s);
	X509_VERIFY_PARAM_set_depth(param, SVID_CHAIN_MAX);
	CHECK(X509_VERIFY_PARAM_set_flags(param, flags));
}

static enum err check_not_after(const struct path_input *input, const STACK_OF(X509) * path, struct why *why)
{
	for (size_t i = 0; i < sk_X509_num(path); i++) {
		const X509 *cert = sk_X509_value(path, i);
		if (cert_not_after_s(cert) <= input->now_s) /* the same comparison as BoringSSL's */
			return path_explain_expired(cert, svid_place(i), input->now_s, why);
	}
	return ERR_NONE;
}

static bool is_self_issued(const X509 *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

static int64_t path_limit(const X509 *cert)
{
	_cleanup_(BASIC_CONSTRAINTS_freep) BASIC_CONSTRAINTS *basic =
		X509_get_ext_d2i(cert, NID_basic_constraints, NULL, NULL);
	if (basic == NULL || basic->pathlen == NULL)
		return INT64_MAX;
	return ASN1_INTEGER_get(basic->pathlen);
}

/* RFC 5280 4.2.1.9. BoringSSL ignores the root's own limit. */
static enum err check_path_length(const STACK_OF(X509) * path, struct why *why)
{
	int64_t num_below = 0; /* authorities below this one, self-issued ones not counted */
	for (size_t i = 1; i < sk_X509_num(path); i++) {
		const X509 *cert = sk_X509_value(path, i);
		if (num_below > path_limit(cert))
			return why_set(why, ERR_UNTRUSTED, "no more authorities than pathLenConstraint allows",
				"sign with an authority that allows a longer path",
				"%lld authorities are below one that allows %lld", (long long)num_below,
				(long long)path_limit(cert));
		if (!is_self_issued(cert))
			num_below++;
	}
	return ERR_NONE;
}

/* The earliest end of validity that the result depends on. */
static int64_t valid_until(const STACK_OF(X509) * path)
{
	int64_t until = INT64_MAX;
	for (size_t i = 0; i < sk_X509_num(path); i++)
		if (cert_not_after_s(sk_X509_value(path, i)) < until)
			until = cert_not_after_s(sk_X509_value(path, i));
	return until;
}

static bool is_on_list(X509_CRL *crl, X509 *cert, X509 *issuer)
{
	X509_REVOKED *entry;
	return crl_is_of(crl, issuer) && X509_CRL_get0_by_cert(crl, &entry, cert) == 1 && crl_is_genuine(crl, issuer);
}

/* A list withdraws what it names, as long as it is there; what no list names is accepted, also when a list is stale or
 * missing (decision 069). BoringSSL's own check would refuse every chain below an authority without a fresh list. */
static enum err check_lists(const struct path_input *input, const STACK_OF(X509) * path, struct why *why)
{
	size_t num_lists = input->crls == NULL ? 0 : sk_X509_CRL_num(input->crls);
	for (size_t i = 0; i + 1 < sk_X509_num(path); i++)
		for (size_t list = 0; list < num_lists; list++)
			if (is_on_list(sk_X509_CRL_value(input->crls, list), sk_X509_value(path, i),
				    sk_X509_value(path, i + 1)))
				return path_explain_revoked(sk_X509_value(path, i), svid_place(i), why);
	return ERR_NONE;
}

/* All but the root. */
static enum err check_serials(const struct path_input *input, const STACK_OF(X509) * path, struct why *why)
{
	for (size_t i = 0; input->revoker != NULL && i + 1 < sk_X509_num(path); i++) {
		const X509 *cert = sk_X509_value(path, i);
		if (bundle_set_is_revoked(input->revoker, cert_serial(cert)))
			return path_explain_revoked(cert, svid_place(i), why);
	}
	return ERR_NONE;
}

static enum err judge(
	const struct attempt *attempt, X509_STORE_CTX *context, X509 *root, int64_t *out_until_s, struct why *why)
{
	const struct path_input *input = attempt->input;
	configure(context, input);
	int ok = X509_verify_cert(context);
	ERR_clear_error();
	if (ok != 1)
		return path_explain_verdict(context, attempt->certs, attempt->num_certs, root, input->now_s, why);
	const STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(context);
	RETURN_IF_ERR(check_path_length(path, why));
	RETURN_IF_ERR(check_serials(input, path, why));
	RETURN_IF_ERR(check_lists(input, path, why));
	if (input->ignore_not_before)
		RETURN_IF_ERR(check_not_after(input, path, why));
	*out_until_s = valid_until(path);
	return ERR_NONE;
}

/* left_out: bit i excludes the authority certs[i + 1] from the path. */
static enum err try_without(
	const struct attempt *attempt, X509 *root, unsigned left_out, int64_t *out_until_s, struct why *why)
{
	STACK_OF(X509) *sent = sk_X509_new_null();
	CHECK(sent != NULL);
	for (size_t i = 1; i < attempt->num_certs; i++)
		CHECK((left_out >> (i - 1) & 1) != 0 || sk_X509_push(sent, attempt->certs[i]) > 0);
	X509_STORE *store = X509_STORE_new(); /* empty */
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	STACK_OF(X509) *trusted = sk_X509_new_null();
	CHECK(store != NULL && context != NULL && trusted != NULL && sk_X509_push(trusted, root) > 0);
	CHECK(X509_STORE_CTX_init(context, store, attempt->certs[0], sent));
	X509_STORE_CTX_set0_trusted_stack(context, trusted);
	enum err err = judge(attempt, context, root, out_until_s, why);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	sk_X509_free(trusted);
	sk_X509_free(sent);
	return err;
}

static bool has_namesakes(const struct attempt *attempt)
{
	for (size_t i = 1; i < attempt->num_certs; i++)
		for (size_t j = i + 1; j < attempt->num_certs; j++)
			if (X509_NAME_cmp(X509_get_subject_name(attempt->certs[i]),
				    X509_get_subject_name(attempt->certs[j])) == 0)
				return true;
	return false;
}

/* BoringSSL follows one authority per name without backtracking (RFC 4158 2.4.2): a chain with an old and a new
 * authority of one name is also tried without each of them. At most 7 more attempts. */
static enum err try_root(const struct attempt *attempt, X509 *root, int64_t *out_until_s, struct why *why)
{
	enum err err = try_without(attempt, root, 0, out_until_s, why);
	if (err == ERR_NONE || !has_namesakes(attempt))
		return err;
	_Static_assert(SVID_CHAIN_MAX == 4, "at most 7 tries");
	for (unsigned left_out = 1; left_out < 1u << (attempt->num_certs - 1); left_out++)
		if (try_without(attempt, root, left_out, out_until_s, NULL) == ERR_NONE)
			return ERR_NONE;
	return err;
}

enum err path_verify(const struct path_input *input, int64_t *out_until_s, struct why *why)
{
	_cleanup_(attempt_done) struct attempt attempt;
	attempt_init(&attempt, input);
	CHECK(attempt.num_certs > 0); /* a svid has a leaf */
	struct why best = {0};
	enum err err = path_explain_no_root(input->svid, attempt.certs[attempt.num_certs - 1], input->num_roots, &best);
	for (size_t i = 0; i < input->num_roots; i++) {
		if (!is_candidate(&attempt, input->roots[i]))
			continue;
		struct why reason = {0};
		enum err verdict = try_root(&attempt, input->roots[i], out_until_s, &reason);
		if (verdict == ERR_NONE)
			return ERR_NONE;
		if (err != ERR_UNTRUSTED && verdict == ERR_UNTRUSTED)
			continue; /* keep "signed, but expired": more specific than "another root did not sign" */
		err = verdict;
		best = reason;
	}
	if (why != NULL)
		*why = best;
	return err;
}
