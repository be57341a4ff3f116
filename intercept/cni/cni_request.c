#include "intercept/cni/cni_request.h"
#include "base/core/check.h"
#include "intercept/cni/cni_json.h"
#include <stdio.h>

static const char *const VERSIONS[] = {CNI_VERSIONS};
#define NUM_VERSIONS   (sizeof VERSIONS / sizeof VERSIONS[0])
#define LATEST_VERSION VERSIONS[NUM_VERSIONS - 1]

static const struct {
	const char *text;
	enum cni_command command;
} COMMANDS[] = {
	{"ADD", CNI_ADD},
	{"DEL", CNI_DEL},
	{"CHECK", CNI_CHECK},
	{"VERSION", CNI_VERSION},
	{"STATUS", CNI_STATUS},
	{"GC", CNI_GC},
};

static enum err refuse(enum cni_code *out_code, enum cni_code code, enum err err)
{
	*out_code = code;
	return err;
}

static bool is_of_container(enum cni_command command)
{
	return command == CNI_ADD || command == CNI_CHECK || command == CNI_DEL;
}

static enum err read_command(
	const struct cni_environment *environment, struct cni_request *out, enum cni_code *out_code, struct why *why)
{
	const char *given = environment->command;
	bool is_known = false;
	for (size_t i = 0; given != NULL && i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
		if (strcmp(given, COMMANDS[i].text) == 0) {
			out->command = COMMANDS[i].command;
			is_known = true;
		}
	if (!is_known)
		return refuse(out_code, CNI_BAD_ENVIRONMENT,
			why_set(why, ERR_CONFIG, "ADD, DEL, CHECK, VERSION, STATUS or GC",
				"let a container runtime start this program", "CNI_COMMAND is '%.40s'",
				given == NULL ? "" : given));
	out->netns = environment->netns != NULL && environment->netns[0] != '\0' ? environment->netns : NULL;
	if (is_of_container(out->command) &&
		(environment->container_id == NULL || environment->container_id[0] == '\0'))
		return refuse(out_code, CNI_BAD_ENVIRONMENT,
			why_set(why, ERR_CONFIG, "the container's id in CNI_CONTAINERID", "see the runtime's log",
				"CNI_CONTAINERID is not set"));
	if ((out->command == CNI_ADD || out->command == CNI_CHECK) && out->netns == NULL)
		return refuse(out_code, CNI_BAD_ENVIRONMENT,
			why_set(why, ERR_CONFIG, "the path of a network namespace in CNI_NETNS",
				"see the runtime's log", "CNI_NETNS is not set"));
	return ERR_NONE;
}

/* One value of "KEY=VALUE;KEY=VALUE". ERR_TOO_LARGE: it is no name of Kubernetes. */
static enum err read_arg(const char *args, const char *key, char *out, size_t cap)
{
	size_t key_len = strlen(key);
	while (args != NULL && *args != '\0') {
		size_t len = strcspn(args, ";");
		if (len > key_len && strncmp(args, key, key_len) == 0 && args[key_len] == '=') {
			size_t value_len = len - key_len - 1;
			if (value_len >= cap)
				return ERR_TOO_LARGE;
			memcpy(out, args + key_len + 1, value_len);
			out[value_len] = '\0';
			return ERR_NONE;
		}
		args += len + (args[len] == ';');
	}
	return ERR_NONE;
}

static enum err read_pod(const char *args, struct cni_pod *out, enum cni_code *out_code, struct why *why)
{
	enum err err = read_arg(args, "K8S_POD_NAMESPACE", out->namespace_, sizeof out->namespace_);
	if (err == ERR_NONE)
		err = read_arg(args, "K8S_POD_NAME", out->name, sizeof out->name);
	if (err == ERR_NONE)
		err = read_arg(args, "K8S_POD_UID", out->uid, sizeof out->uid);
	if (err != ERR_NONE || (out->name[0] == '\0') != (out->namespace_[0] == '\0'))
		return refuse(out_code, CNI_BAD_ENVIRONMENT,
			why_set(why, ERR_MALFORMED,
				"names of Kubernetes in K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID",
				"see the runtime's log", "CNI_ARGS is '%.120s'", args));
	return ERR_NONE;
}

static enum err read_version(struct cni_request *out, enum cni_code *out_code, struct why *why)
{
	const char *version = json_string_value(json_object_get(out->config, "cniVersion"));
	for (size_t i = 0; version != NULL && i < NUM_VERSIONS; i++)
		if (strcmp(version, VERSIONS[i]) == 0) {
			out->version = VERSIONS[i];
			return ERR_NONE;
		}
	return refuse(out_code, CNI_INCOMPATIBLE_VERSION,
		why_set(why, ERR_UNSUPPORTED, "cniVersion 0.3.0, 0.3.1, 0.4.0, 1.0.0 or 1.1.0",
			"write one of these versions into the network's configuration", "cniVersion is '%.40s'",
			version == NULL ? "" : version));
}

static enum err bad_config(enum cni_code *out_code, struct why *why, const char *key, const char *expected)
{
	return refuse(out_code, CNI_BAD_CONFIG,
		why_set(why, ERR_CONFIG, expected, "correct the plugin's entry in the network's configuration",
			"%s is wrong or missing", key));
}

static enum err read_keys(struct cni_request *out, enum cni_code *out_code, struct why *why)
{
	const json_t *socket = json_object_get(out->config, "socket"), *one;
	const json_t *excluded = json_object_get(out->config, "exclude_namespaces");
	size_t i;
	if (socket != NULL && (!json_is_string(socket) || json_string_value(socket)[0] != '/'))
		return bad_config(out_code, why, "socket", "the agent's socket, an absolute path");
	out->socket = socket == NULL ? CNI_SOCKET : json_string_value(socket);
	if (excluded != NULL && !json_is_array(excluded))
		return bad_config(out_code, why, "exclude_namespaces", "a list of namespaces");
	json_array_foreach(excluded, i, one)
	{
		if (!json_is_string(one))
			return bad_config(out_code, why, "exclude_namespaces", "a list of namespaces");
		out->is_excluded |= strcmp(json_string_value(one), out->pod.namespace_) == 0;
	}
	if ((out->command == CNI_ADD || out->command == CNI_CHECK) &&
		!json_is_object(json_object_get(out->config, "prevResult")))
		return bad_config(out_code, why, "prevResult",
			"a result of the plugin before: this plugin stands behind the one that makes the interface");
	return ERR_NONE;
}

enum err cni_request_parse(const struct cni_environment *environment, struct span config, struct cni_request *out,
	enum cni_code *out_code, struct why *why)
{
	json_error_t wrong;
	*out = (struct cni_request){.version = LATEST_VERSION, .socket = CNI_SOCKET};
	RETURN_IF_ERR(read_command(environment, out, out_code, why));
	out->config = json_loadb((const char *)config.ptr, config.len, JSON_REJECT_DUPLICATES, &wrong);
	if (out->command == CNI_VERSION)
		return ERR_NONE; /* its input is optional */
	if (!json_is_object(out->config))
		return refuse(out_code, CNI_UNDECODABLE,
			why_set(why, ERR_MALFORMED, "the network's configuration, a JSON object, on standard input",
				"see the runtime's log", "standard input is not a JSON object: %.120s",
				out->config == NULL ? wrong.text : "another type"));
	if (out->command == CNI_DEL || out->command == CNI_GC)
		return ERR_NONE; /* whatever their version and names: a pod would not end, and nothing is given back */
	RETURN_IF_ERR(read_version(out, out_code, why));
	if (is_of_container(out->command))
		RETURN_IF_ERR(read_pod(environment->args, &out->pod, out_code, why));
	return out->command == CNI_ADD || out->command == CNI_CHECK ? read_keys(out, out_code, why) : ERR_NONE;
}

void cni_request_done(struct cni_request *request)
{
	json_decref(request->config);
	request->config = NULL;
}

static json_t *versions(void)
{
	json_t *list = json_array();
	for (size_t i = 0; i < NUM_VERSIONS; i++)
		CHECK(json_array_append_new(list, json_string(VERSIONS[i])) == 0);
	return list;
}

enum err cni_result_put(const struct cni_request *request, struct buf *out)
{
	switch (request->command) {
	case CNI_ADD:
		return cni_json_put_line(json_incref(json_object_get(request->config, "prevResult")), out);
	case CNI_VERSION:
		return cni_json_put_line(
			json_pack("{s:s, s:o}", "cniVersion", request->version, "supportedVersions", versions()), out);
	case CNI_CHECK:
	case CNI_DEL:
	case CNI_STATUS:
	case CNI_GC:
		return ERR_NONE;
	}
	CHECK_UNREACHABLE();
}

enum err cni_error_put(const struct cni_request *request, enum cni_code code, const struct why *why, struct buf *out)
{
	char details[sizeof why->expected + sizeof why->fix + 32];
	snprintf(details, sizeof details, "expected: %s; fix: %s", why->expected, why->fix);
	return cni_json_put_line(json_pack("{s:s, s:i, s:s, s:s}", "cniVersion", request->version, "code", (int)code,
					 "msg", why->got, "details", details),
		out);
}
