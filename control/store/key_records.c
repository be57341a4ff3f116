#include "control/store/key_records.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "control/store/record.h"
#include "control/store/record_object.h"
#include <jansson.h>
#include <string.h>

#define REQUEST_MS   10000
#define ANSWER_MAX   (256u * 1024)
#define VALUE_MAX    256
#define REQUEST_MAX  4096
#define MADE_PREFIX  "authority/made/"
#define MADE_KEY_LEN (sizeof MADE_PREFIX + 2 * DIGEST_LEN)

void key_hashes_of(struct span bootstrap, struct span root, struct key_hashes *out)
{
	digest_sha256(bootstrap, out->bootstrap);
	digest_sha256(root, out->root);
}

enum err key_hashes_encode(const struct key_hashes *hashes, struct buf *out)
{
	RETURN_IF_ERR(record_put_hex(out, "bootstrap_sha256", span_of(hashes->bootstrap, DIGEST_LEN)));
	return record_put_hex(out, "root_sha256", span_of(hashes->root, DIGEST_LEN));
}

/* --- one request --- */

struct call {
	struct loop *loop;
	enum err err;
	unsigned status;
	json_t *object;     /* NULL: the answer is no JSON */
	struct why *detail; /* NULL: not wanted */
};

static void on_answer(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct call *call = arg;
	loop_stop(call->loop);
	call->err = err;
	if (err != ERR_NONE && call->detail != NULL)
		*call->detail = *why;
	if (err != ERR_NONE)
		return;
	call->status = response->status;
	call->object = json_loadb((const char *)response->body.ptr, response->body.len, JSON_REJECT_DUPLICATES, NULL);
}

static void call_done(struct call *call)
{
	json_decref(call->object);
}

static enum err call(const struct key_records *records, const char *method, const char *path, struct span body,
	struct call *out, struct why *why)
{
	const struct kube_request_options options = {
		.method = method, .path = path, .body = body, .timeout_ms = REQUEST_MS, .response_max = ANSWER_MAX};
	*out = (struct call){.loop = records->loop, .detail = why};
	(void)kube_request_start(records->client, &options, on_answer, out);
	loop_run(records->loop);
	return out->err;
}

static enum err refused(const struct call *call, struct why *why)
{
	return why_set(why, ERR_DENIED, "to read and create the control plane's records",
		"apply the whole manifest, with its roles", "the API server answered %u", call->status);
}

static char *path_of(const struct key_records *records, const char *key)
{
	char name[RECORD_NAME_LEN];
	record_object_name(key, name);
	return mem_printf("/apis/" RECORD_API_VERSION "/namespaces/%s/records/%s", records->namespace_name, name);
}

static void made_key(const struct key_hashes *hashes, char out[MADE_KEY_LEN])
{
	memcpy(out, MADE_PREFIX, sizeof MADE_PREFIX - 1);
	hex_format(span_of(hashes->root, DIGEST_LEN), out + sizeof MADE_PREFIX - 1);
}

/* *out: the record; borrowed from *out_call. ERR_NOT_FOUND: there is none, and why is not set. */
static enum err fetch(const struct key_records *records, const char *key, struct call *out_call,
	struct record_object *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = path_of(records, key);
	RETURN_IF_ERR(call(records, "GET", path, span_of(NULL, 0), out_call, why));
	if (out_call->status == 404)
		return ERR_NOT_FOUND;
	return out_call->status == 200 ? record_object_parse(out_call->object, out, why) : refused(out_call, why);
}

/* --- public functions --- */

enum err key_records_expect_none(const struct key_records *records, struct why *why)
{
	_cleanup_(call_done) struct call call = {0};
	struct record_object known = {0};
	enum err err = fetch(records, KEY_RECORDS_KNOWN, &call, &known, why);
	if (err != ERR_NONE)
		return err == ERR_NOT_FOUND ? ERR_NONE : err;
	return why_set(why, ERR_STATE_DAMAGED, "the Secret with the keys that belong to this mesh",
		"restore the Secret from a backup; or, to begin a new mesh, remove the records: `kubectl -n "
		"handfast-system delete records --all`",
		"there are records of a mesh, but its keys are missing");
}

enum err key_records_add(const struct key_records *records, const struct key_hashes *hashes, struct why *why)
{
	_cleanup_(buf_done) struct buf value = BUF_INIT(VALUE_MAX);
	_cleanup_(buf_done) struct buf body = BUF_INIT(REQUEST_MAX);
	_cleanup_(call_done) struct call answer = {0};
	char key[MADE_KEY_LEN];
	made_key(hashes, key);
	CHECK(key_hashes_encode(hashes, &value) == ERR_NONE);
	const struct record_object_spec spec = {
		.namespace_name = records->namespace_name, .key = key, .writer = "", .value = buf_span(&value)};
	RETURN_IF_ERR(record_object_encode(&spec, &body));
	_cleanup_(mem_freep) char *path =
		mem_printf("/apis/" RECORD_API_VERSION "/namespaces/%s/records", records->namespace_name);
	RETURN_IF_ERR(call(records, "POST", path, buf_span(&body), &answer, why));
	/* 409: the operator adopted the same keys at another replica */
	return answer.status == 201 || answer.status == 409 ? ERR_NONE : refused(&answer, why);
}

void key_records_remove(const struct key_records *records, const struct key_hashes *hashes)
{
	_cleanup_(buf_done) struct buf body = BUF_INIT(REQUEST_MAX);
	_cleanup_(call_done) struct call found = {0};
	_cleanup_(call_done) struct call answer = {0};
	struct record_object made = {0};
	struct why why = {0};
	char key[MADE_KEY_LEN];
	made_key(hashes, key);
	if (fetch(records, key, &found, &made, &why) != ERR_NONE ||
		record_object_encode_delete(made.version, &body) != ERR_NONE)
		return;
	_cleanup_(mem_freep) char *path = path_of(records, key);
	(void)call(records, "DELETE", path, buf_span(&body), &answer, &why);
}

static bool has_value(const struct record_object *record, const struct key_hashes *hashes)
{
	_cleanup_(buf_done) struct buf value = BUF_INIT(VALUE_MAX);
	CHECK(key_hashes_encode(hashes, &value) == ERR_NONE);
	return span_eq(record->value, buf_span(&value));
}

enum err key_records_judge(const struct key_records *records, const struct key_hashes *hashes, struct why *why)
{
	_cleanup_(call_done) struct call of_known = {0};
	_cleanup_(call_done) struct call of_made = {0};
	struct record_object known = {0}, made = {0};
	char key[MADE_KEY_LEN];
	made_key(hashes, key);
	enum err err = fetch(records, KEY_RECORDS_KNOWN, &of_known, &known, why);
	if (err == ERR_NONE && !has_value(&known, hashes))
		return why_set(why, ERR_STATE_DAMAGED, "the keys that the records of this mesh name",
			"restore the Secret and the records from one backup, and find out who made this Secret",
			"the Secret has other keys than the mesh, root SHA-256 %s", key + sizeof MADE_PREFIX - 1);
	if (err != ERR_NOT_FOUND)
		return err;
	err = fetch(records, key, &of_made, &made, why);
	if (err == ERR_NONE && has_value(&made, hashes))
		return ERR_NONE;
	if (err != ERR_NONE && err != ERR_NOT_FOUND)
		return err;
	return why_set(why, ERR_NOT_FOUND, "keys that a control plane of this mesh has made and recorded",
		"find out who made the Secret, and delete it for new keys; or, where it is a backup's, start once "
		"with --adopt among the arguments of the init container keys",
		"no record names the keys of the Secret, root SHA-256 %s", key + sizeof MADE_PREFIX - 1);
}
