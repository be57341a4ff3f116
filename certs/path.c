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
		X509 *cert = X509_parse_from_buffer(svid_get0_buffer(input->svid, i));
		CHECK(cert != NULL); /* svid_parse() parsed it */
		attempt->certs[attempt->num_certs++] = cert;
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

/* BoringSSL reads the entries of a list although the error in its signature is ignored. */
static bool is_list_genuine(X509_STORE_CTX *context)
{
	const STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(context);
	size_t issuer_at = (size_t)X509_STORE_CTX_get_error_depth(context) + 1;
	if (issuer_at >= sk_X509_num(path))
		return false;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(sk_X509_value(path, issuer_at));
	return key != NULL && X509_CRL_verify(X509_STORE_CTX_get0_current_crl(context), key) == 1;
}

static int forgive_lists(int ok, X509_STORE_CTX *context)
{
	int error = X509_STORE_CTX_get_error(context);
	if (ok == 1 || path_lacks_usable_crl(error))
		return 1;
	return error == X509_V_ERR_CERT_REVOKED && !is_list_genuine(context);
}

static void configure(X509_STORE_CTX *context, const struct path_input *input)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
	unsigned long flags = X509_V_FLAG_TRUSTED_FIRST;
	if (input->crls != NULL) {
		X509_STORE_CTX_set0_crls(context, input->crls);
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	}
	if (input->ignore_not_before || input->is_revalidation)
		flags |= X509_V_FLAG_NO_CHECK_TIME; /* check_not_after() checks notAfter */
	if (input->is_revalidation)
		X509_STORE_CTX_set_verify_cb(context, forgive_lists);
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

/* A list covers the certificates of its issuer only. */
static bool is_about(const X509_CRL *crl, const STACK_OF(X509) * path)
{
	for (size_t i = 0; i < sk_X509_num(path); i++)
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(sk_X509_value(path, i))) == 0)
			return true;
	return false;
}

/* The earliest end of validity that the result depends on. Of several lists of one issuer BoringSSL uses a fresh one: a
 * stale one beside it is not counted. */
static int64_t valid_until(const struct path_input *input, const STACK_OF(X509) * path)
{
	int64_t until = INT64_MAX;
	for (size_t i = 0; i < sk_X509_num(path); i++)
		if (cert_not_after_s(sk_X509_value(path, i)) < until)
			until = cert_not_after_s(sk_X509_value(path, i));
	for (size_t i = 0; input->crls != NULL && i < sk_X509_CRL_num(input->crls); i++) {
		const X509_CRL *crl = sk_X509_CRL_value(input->crls, i);
		int64_t next_s = crl_next_update_s(crl);
		if (next_s > input->now_s && next_s < until && is_about(crl, path))
			until = next_s;
	}
	return until;
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
	if (input->ignore_not_before)
		RETURN_IF_ERR(check_not_after(input, path, why));
	*out_until_s = valid_until(input, path);
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
	X509_STORE *store = X509_STORE_new(); /* empty: BoringSSL searches it for revocation lists too */
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
