/* What a container runtime asks of a CNI plugin, and how it is answered (CNI specification 1.1.0, sections 2 to 5; the
 * versions from 0.3.0 on differ in nothing that a chained plugin without addresses of its own sees). Pure. */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

#define CNI_CONFIG_MAX (1024 * 1024) /* bytes on standard input; it holds the result of the plugins before */
#define CNI_SOCKET     "/run/handfast-cni/agent.sock"

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_VERSION, CNI_STATUS, CNI_GC };

/* Error codes of the specification; those from 100 on are the plugin's own. */
enum cni_code {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_BAD_ENVIRONMENT = 4,
	CNI_IO_FAILURE = 5,
	CNI_UNDECODABLE = 6,
	CNI_BAD_CONFIG = 7,
	CNI_TRY_AGAIN_LATER = 11,
	CNI_RULES_FAILED = 100,
};

struct cni_environment { /* borrowed; NULL: not set */
	const char *command, *container_id, *netns, *args;
};

/* CNI_ARGS of Kubernetes. Longest names: a namespace 63, a pod 253 (RFC 1123). Empty: not given. */
struct cni_pod {
	char namespace_[64], name[254], uid[64];
};

struct cni_request { /* zeroed is valid to cni_request_done() */
	enum cni_command command;
	const char *version; /* "1.0.0"; borrowed from config */
	const char *netns;   /* a path; borrowed from the environment; NULL: the namespace is gone (DEL) */
	const char *socket;  /* the agent's; borrowed from config */
	struct cni_pod pod;  /* name empty: it is no pod of Kubernetes */
	bool is_excluded;    /* its namespace is in the configuration's exclude_namespaces */
	json_t *config;
};

/* `config`: standard input. On failure *out_code is what the runtime is to be given, and out->version is set where it
 * could be read. */
enum err cni_request_parse(const struct cni_environment *environment, struct span config, struct cni_request *out,
	enum cni_code *out_code, struct why *why) _must_use_;
void cni_request_done(struct cni_request *request);

/* The answers, a line of JSON each. The result of a chained plugin without addresses is the one of the plugin before;
 * commands without a result print nothing. */
enum err cni_result_put(const struct cni_request *request, struct buf *out) _must_use_;
enum err cni_error_put(
	const struct cni_request *request, enum cni_code code, const struct why *why, struct buf *out) _must_use_;
