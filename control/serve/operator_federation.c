/* federation list, refresh, import. */
#include "base/core/log.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"

#define RESPONSE_MAX (1024u * 1024)

enum err operator_federation_list(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	if (request->call == NULL) /* also when all ends */
		return ERR_NONE;
	if (request->serve->options.federation == NULL)
		return ERR_UNSUPPORTED;
	RETURN_IF_ERR(federation_list_encode(
		request->serve->options.federation, (struct span){0}, &request->reach, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void answer_change(struct operator_request *request)
{
	enum err err = operator_federation_list(request);
	if (err != ERR_NONE)
		operator_request_finish(request, err, NULL, NULL);
	operator_request_unref(request);
}

static void on_done(void *arg, enum err err, const struct why *why)
{
	struct operator_request *request = arg;
	if (err == ERR_NONE) {
		operator_reach(request, answer_change);
		return;
	}
	operator_request_finish(request, err, NULL, why);
	operator_request_unref(request);
}

enum err operator_federation_change(struct operator_request *request, struct span bytes, struct why *why)
{
	_cleanup_(federation_request_done) struct federation_request wanted = {0};
	struct federation *federation = request->serve->options.federation;
	RETURN_IF_ERR(federation_request_parse(bytes, &wanted, why));
	enum err err;
	if (federation == NULL)
		return ERR_UNSUPPORTED;
	if (wanted.bundle.len > 0)
		err = federation_import(
			federation, wanted.trust_domain, wanted.bundle, on_done, operator_request_ref(request), why);
	else
		err = federation_refresh(federation, wanted.trust_domain, wanted.any_sequence, on_done,
			operator_request_ref(request), why);
	if (err != ERR_NONE)
		operator_request_unref(request);
	else
		log_notice("audit", "an operator %s the bundle of the partner %.*s%s",
			wanted.bundle.len > 0 ? "imports" : "refreshes", (int)wanted.trust_domain.len,
			(const char *)wanted.trust_domain.ptr, wanted.any_sequence ? ", of any sequence" : "");
	return err;
}
