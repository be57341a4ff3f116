/* entry create, entry list, entry delete: attestation entries beside those of the settings. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/serve/operator_private.h"

#define RESPONSE_MAX (16u * 1024 * 1024)

static void finish(struct operator_request *request, enum err err, const char *what)
{
	struct why why = {0};
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	if (err == ERR_NONE)
		log_notice("audit", "entry %s: %s%s%s", what, request->name, request->id.text == NULL ? "" : " for ",
			request->id.text == NULL ? "" : request->id.text);
	else if (err == ERR_CONFLICT)
		(void)why_set(&why, err, "one change of an entry at a time", "see `handfast entry list`, and try again",
			"another command has changed the entry meanwhile");
	else
		(void)store_explain(request->serve->options.store, err, &why);
	operator_request_finish(request, err, &message, &why);
	operator_request_unref(request);
}

static void on_created(void *arg, enum err err, _unused_ uint64_t version)
{
	finish(arg, err, "created");
}

static void on_deleted(void *arg, enum err err, _unused_ uint64_t version)
{
	finish(arg, err, "deleted");
}

static void keep_name(struct operator_request *request, struct span name)
{
	CHECK(name.len < sizeof request->name); /* it was checked */
	memcpy(request->name, name.ptr, name.len);
	request->name[name.len] = 0;
}

enum err operator_entry_create(struct operator_request *request, struct span bytes, struct why *why)
{
	_cleanup_(workload_entry_done) struct workload_entry entry = {0};
	RETURN_IF_ERR(entry_create_request_parse(bytes, &entry, why));
	keep_name(request, span_of_str(entry.name));
	spiffe_id_copy(&entry.id, &request->id);
	enum err err = attest_entry_create(
		request->serve->options.attest, &entry, on_created, operator_request_ref(request), why);
	if (err != ERR_NONE)
		operator_request_unref(request);
	return err;
}

enum err operator_entry_delete(struct operator_request *request, struct span bytes, struct why *why)
{
	RETURN_IF_ERR(entry_delete_request_parse(bytes, request->name, why));
	enum err err = attest_entry_delete(request->serve->options.attest, span_of_str(request->name), on_deleted,
		operator_request_ref(request), why);
	if (err != ERR_NONE)
		operator_request_unref(request);
	return err;
}

static void add_entry(void *arg, const struct workload_entry *entry, bool is_stored)
{
	entry_list_add(arg, entry, is_stored);
}

enum err operator_entry_list(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	_cleanup_(entry_list_freep) struct entry_list *list = entry_list_new();
	attest_entry_each(request->serve->options.attest, add_entry, list);
	RETURN_IF_ERR(entry_list_encode(list, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}
