/* ca csr, ca import, ca crl: an intermediate below a root of the operator's, whose key may be offline. */
#include "base/core/log.h"
#include "base/pb/unpack.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"

#define RESPONSE_MAX 32768

/* In Kubernetes the key folder is in memory: an intermediate would end with its pod. */
static enum err is_possible(const struct serve *serve, struct why *why)
{
	if (serve->options.has_unrecorded)
		return why_set(why, ERR_REFUSED, "a control plane outside of Kubernetes",
			"give each replica its intermediate: identity.ca.source files, of a Secret, or command",
			"in Kubernetes the signer's keys end with their pod");
	if (serve->options.ca_source != NULL)
		return why_set(why, ERR_REFUSED, "identity.ca.source built-in", "set it, or use the source that is set",
			"intermediates come from identity.ca.source");
	return ERR_NONE;
}

static void on_csr(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct operator_request *request = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	if (err == ERR_NONE)
		err = ca_csr_encode(issued->sealed, &message);
	if (err == ERR_NONE)
		log_notice("audit", "an operator asked for the request of an intermediate");
	operator_request_finish(request, err, &message, why);
	operator_request_unref(request);
}

enum err operator_ca_csr(struct operator_request *request, struct why *why)
{
	RETURN_IF_ERR(is_possible(request->serve, why));
	(void)issuer_request_intermediate(request->serve->options.issuer, on_csr, operator_request_ref(request));
	return ERR_NONE;
}

enum err operator_ca_crl(struct operator_request *request)
{
	const struct trust *trust = request->serve->options.trust;
	_cleanup_(buf_done) struct buf message = BUF_INIT(CA_CRL_RESPONSE_MAX);
	RETURN_IF_ERR(ca_crl_encode(trust_bundles(trust), span_of_str(trust_domain_of(trust)->name), &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void finish(struct operator_request *request, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		err = operator_ca_status(request);
	if (err != ERR_NONE)
		operator_request_finish(request, err, NULL, why);
	operator_request_unref(request);
}

static void on_taken(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_notice("audit", "an operator imported an intermediate below a root of their own");
	finish(arg, err, why);
}

static void on_imported(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct operator_request *request = arg;
	struct why own = {0};
	if (err == ERR_NONE && issued->num_chain != 2)
		err = why_set(&own, ERR_MALFORMED, "root and intermediate", "report this as a defect",
			"the signer answered with %zu certificates", issued->num_chain);
	if (err == ERR_NONE)
		rotation_take_root(request->serve->options.rotation, issued->chain[0], on_taken, request);
	else
		finish(request, err, own.err == ERR_NONE ? why : &own);
}

enum err operator_ca_import(struct operator_request *request, struct span bytes, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	const struct serve_options *options = &request->serve->options;
	uint8_t wanted[DIGEST_LEN];
	struct span pem;
	RETURN_IF_ERR(is_possible(request->serve, why));
	RETURN_IF_ERR(ca_import_request_parse(bytes, &arena, &pem, why));
	if (pem.len == 0 || pem.len > IMPORT_MAX)
		return why_set(why, ERR_LIMIT, "a file of 1 to 24576 bytes",
			"leave out what is not above the intermediate", "the file has %zu bytes", pem.len);
	bool must_be = rotation_wants_root(options->rotation, wanted);
	(void)issuer_import(options->issuer, pem, span_of(wanted, must_be ? DIGEST_LEN : 0), on_imported,
		operator_request_ref(request));
	return ERR_NONE;
}
