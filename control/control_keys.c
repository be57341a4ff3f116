/* handfast-control keys: the first step of a replica in Kubernetes. The keys of bootstrap root and root are in one
 * Secret that is mounted into this short-lived process and nowhere else; it copies them into the key folder of the
 * replica's signer. Without a Secret it makes the keys and creates the Secret: of several replicas at a first start one
 * succeeds, and the others end and are started again with the Secret mounted. The role of the control plane may create
 * a Secret and cannot read one. A process that may create Secrets could plant one where it is missing: so keys that are
 * made are recorded, and mounted keys that no record names are refused (abuse case K18). */
#include "base/core/base64.h"
#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/json/json_put.h"
#include "base/kube/kube_client.h"
#include "base/net/fd.h"
#include "control/control_private.h"
#include "control/store/key_records.h"
#include <jansson.h>
#include <unistd.h>

#define KEY_FILE_MAX 16384
#define REQUEST_MS   10000
#define SECRET_NAME  "handfast-control-keys"

static const char *const kept[] = {"bootstrap.pem", "root.pem"}; /* the intermediate belongs to one replica */
#define NUM_KEPT (sizeof kept / sizeof kept[0])

struct keys {
	const struct control_config *config;
	struct state_folder state;
	struct loop *loop;
	struct kube_config api;
	struct kube_client *client;
	struct key_records records;
	unsigned status; /* of the last answer */
	enum err err;
	struct why detail;
};

static size_t num_mounted(const char *mounted)
{
	size_t num = 0;
	for (size_t i = 0; i < NUM_KEPT; i++) {
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", mounted, kept[i]);
		num += access(path, F_OK) == 0;
	}
	return num;
}

static bool has_content(const char *path, struct span content)
{
	_cleanup_(buf_wipe) struct buf present = BUF_INIT(KEY_FILE_MAX);
	return fd_read_private_file(path, KEY_FILE_MAX, &present, NULL) == ERR_NONE &&
	       span_eq(buf_span(&present), content);
}

static enum err copy_mounted(const struct keys *keys, const char *mounted, struct why *why)
{
	for (size_t i = 0; i < NUM_KEPT; i++) {
		_cleanup_(mem_freep) char *from = mem_printf("%s/%s", mounted, kept[i]);
		_cleanup_(mem_freep) char *to = mem_printf("%s/%s", keys->state.key_folder, kept[i]);
		_cleanup_(buf_wipe) struct buf content = BUF_INIT(KEY_FILE_MAX);
		RETURN_IF_ERR(fd_read_file(from, KEY_FILE_MAX, &content, why));
		if (!has_content(to, buf_span(&content))) /* a pod that begins again may have no room */
			RETURN_IF_ERR(fd_write_file(to, buf_span(&content), 0600, why));
	}
	return ERR_NONE;
}

static void remove_made(const struct keys *keys)
{
	static const char *const made[] = {"bootstrap.pem", "root.pem", "intermediate.pem"};
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", keys->state.key_folder, made[i]);
		unlink(path);
	}
}

static enum err open_authority(const struct keys *keys, enum key_policy policy, struct key_hashes *out, struct why *why)
{
	struct authority authority;
	const struct authority_options options = {.policy = policy,
		.folder = keys->state.key_folder,
		.trust_domain = keys->config->trust_domain,
		.max_leaf_ttl_s = 7 * 86400,
		.intermediate_life_s = (int64_t)(keys->config->intermediate_ttl_ms / 1000),
		.root_life_s = (int64_t)(keys->config->root_ttl_ms / 1000),
		.clock = &clock_system};
	RETURN_IF_ERR(authority_open(&authority, &options, why));
	key_hashes_of(buf_span(&authority.bootstrap.certificate), buf_span(&authority.root.certificate), out);
	authority_done(&authority);
	return ERR_NONE;
}

/* --- the Secret --- */

static void on_answer(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct keys *keys = arg;
	loop_stop(keys->loop);
	keys->err = err;
	if (err == ERR_NONE)
		keys->status = response->status;
	else
		keys->detail = *why;
}

static enum err call(struct keys *keys, const char *method, const char *path, struct span body, struct why *why)
{
	const struct kube_request_options options = {
		.method = method, .path = path, .body = body, .timeout_ms = REQUEST_MS, .response_max = 256u * 1024};
	(void)kube_request_start(keys->client, &options, on_answer, keys);
	loop_run(keys->loop);
	if (keys->err != ERR_NONE)
		*why = keys->detail;
	return keys->err;
}

static enum err put_file(const struct keys *keys, const char *file, json_t *data, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", keys->state.key_folder, file);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(KEY_FILE_MAX);
	_cleanup_(buf_wipe) struct buf text = BUF_INIT(KEY_FILE_MAX * 4 / 3 + 8);
	RETURN_IF_ERR(fd_read_file(path, KEY_FILE_MAX, &content, why));
	RETURN_IF_ERR(base64_encode(buf_span(&content), &text));
	return json_object_set_new(data, file, json_string(buf_cstr(&text))) == 0 ? ERR_NONE : ERR_LIMIT;
}

static enum err encode_secret(const struct keys *keys, struct buf *out, struct why *why)
{
	json_t *data = json_object();
	json_t *secret = json_pack("{s:s, s:s, s:s, s:{s:s, s:{s:s}}, s:o}", "apiVersion", "v1", "kind", "Secret",
		"type", "Opaque", "metadata", "name", SECRET_NAME, "labels", "app.kubernetes.io/name",
		"handfast-control", "data", data);
	enum err err = secret == NULL ? ERR_LIMIT : ERR_NONE;
	for (size_t i = 0; i < NUM_KEPT && err == ERR_NONE; i++)
		err = put_file(keys, kept[i], data, why);
	if (err == ERR_NONE)
		err = buf_append_json(out, secret, JSON_COMPACT);
	json_decref(secret);
	return err;
}

static enum err create_secret(struct keys *keys, struct why *why)
{
	_cleanup_(buf_wipe) struct buf body = BUF_INIT(8 * KEY_FILE_MAX);
	_cleanup_(mem_freep) char *path =
		mem_printf("/api/v1/namespaces/%s/secrets", keys->config->kubernetes.namespace_);
	RETURN_IF_ERR(encode_secret(keys, &body, why));
	RETURN_IF_ERR(call(keys, "POST", path, buf_span(&body), why));
	if (keys->status == 201)
		return ERR_NONE;
	if (keys->status == 409)
		return why_set(why, ERR_UNAVAILABLE, "the Secret " SECRET_NAME ", mounted into this container",
			"none: the container is started again until the Secret is mounted",
			"another replica has made the keys");
	return why_set(why, ERR_DENIED, "to create the Secret " SECRET_NAME, "apply the whole manifest, with its roles",
		"the API server answered %u", keys->status);
}

static enum err reach_api_server(struct keys *keys, struct why *why)
{
	const struct control_config *config = keys->config;
	RETURN_IF_ERR(config->kubernetes.kubeconfig == NULL
			      ? kube_config_in_cluster(NULL, &keys->api, why)
			      : kube_config_load(config->kubernetes.kubeconfig, &keys->api, why));
	keys->loop = loop_new(&clock_system);
	keys->client = kube_client_new(keys->loop, &keys->api);
	keys->records = (struct key_records){keys->loop, keys->client, config->kubernetes.namespace_};
	return ERR_NONE;
}

static void audit(const char *what, const struct key_hashes *hashes)
{
	char bootstrap[2 * DIGEST_LEN + 1], root[2 * DIGEST_LEN + 1];
	hex_format(span_of(hashes->bootstrap, DIGEST_LEN), bootstrap);
	hex_format(span_of(hashes->root, DIGEST_LEN), root);
	log_notice("audit", "%s, bootstrap root SHA-256 %s, root SHA-256 %s", what, bootstrap, root);
}

static bool was_refused(const struct keys *keys)
{
	return keys->status >= 400 && keys->status < 500;
}

static enum err make_keys(struct keys *keys, struct why *why)
{
	struct key_hashes hashes;
	RETURN_IF_ERR(key_records_expect_none(&keys->records, why));
	remove_made(keys); /* of a try that was cut off */
	RETURN_IF_ERR(open_authority(keys, KEYS_MAY_BE_MADE, &hashes, why));
	enum err err = key_records_add(&keys->records, &hashes, why);
	if (err == ERR_NONE)
		err = create_secret(keys, why);
	if (err == ERR_NONE) {
		audit("made the keys of bootstrap root and root; the Secret " SECRET_NAME " holds them", &hashes);
		return ERR_NONE;
	}
	remove_made(keys);
	if (was_refused(keys)) /* else the Secret may have been created */
		key_records_remove(&keys->records, &hashes);
	return err;
}

static enum err take_mounted(struct keys *keys, const struct keys_source *source, struct why *why)
{
	struct key_hashes hashes;
	RETURN_IF_ERR(copy_mounted(keys, source->mounted, why));
	RETURN_IF_ERR(open_authority(keys, KEYS_MUST_EXIST, &hashes, why));
	enum err err = key_records_judge(&keys->records, &hashes, why);
	if (err == ERR_NOT_FOUND && source->adopts) {
		err = key_records_add(&keys->records, &hashes, why);
		if (err == ERR_NONE)
			audit("adopted the keys of the Secret " SECRET_NAME ", which no record named", &hashes);
	} else if (err == ERR_NONE)
		audit("took the keys of the Secret " SECRET_NAME ", which the records name", &hashes);
	else
		audit("refused the keys of the Secret " SECRET_NAME, &hashes);
	if (err != ERR_NONE)
		remove_made(keys);
	return err;
}

static void keys_done(struct keys *keys)
{
	if (keys->client != NULL)
		kube_client_free(keys->client);
	if (keys->loop != NULL)
		loop_free(keys->loop);
	kube_config_done(&keys->api);
	state_folder_done(&keys->state);
}

static enum err run(struct keys *keys, const struct keys_source *source, struct why *why)
{
	RETURN_IF_ERR(state_folder_open(keys->config->state_dir, &keys->state, why));
	RETURN_IF_ERR(folder_make(keys->state.key_folder, 0700, why));
	RETURN_IF_ERR(reach_api_server(keys, why));
	size_t num = num_mounted(source->mounted);
	if (num == 0)
		return make_keys(keys, why);
	if (num != NUM_KEPT)
		return why_set(why, ERR_STATE_DAMAGED, "bootstrap.pem and root.pem",
			"restore the Secret " SECRET_NAME " from a backup", "%s has one of them", source->mounted);
	return take_mounted(keys, source, why);
}

enum err control_keys(const struct control_config *config, const struct keys_source *source, struct why *why)
{
	_cleanup_(keys_done) struct keys keys = {.config = config};
	if (!config->kubernetes.is_enabled)
		return why_set(why, ERR_CONFIG, "kubernetes.enabled: true",
			"run this command in the control plane's pod only; elsewhere the control plane makes its keys "
			"itself",
			"the settings are not those of a control plane in Kubernetes");
	return run(&keys, source, why);
}
