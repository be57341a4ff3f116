/* A credential plugin of a kubeconfig: a program that prints a token or a certificate (Kubernetes: "client-go
 * credential plugins"). Private to base/kube. */
#pragma once

#include "base/kube/kube_config.h"
#include "base/kube/kubeconfig_node.h"

enum { KUBE_PLUGIN_WORDS_MAX = 64, KUBE_PLUGIN_VARIABLES_MAX = 64 };

struct kube_plugin {                                    /* zeroed is valid to kube_plugin_done() */
	char *api_version;                              /* client.authentication.k8s.io/v1 or v1beta1 */
	char *words[KUBE_PLUGIN_WORDS_MAX + 1];         /* its command and arguments; then NULL */
	char *variables[KUBE_PLUGIN_VARIABLES_MAX + 1]; /* "NAME=VALUE", beside those of this program; then NULL */
	char *install_hint;                             /* NULL: none */
	char *server; /* of the kubeconfig, if it wants to know its cluster; NULL: no */
	enum kube_plugin_mode {
		KUBE_PLUGIN_IF_AVAILABLE,
		KUBE_PLUGIN_NEVER,
		KUBE_PLUGIN_ALWAYS
	} mode; /* of standard input */
};

void kube_plugin_done(struct kube_plugin *plugin);
/* The `exec` part of a user. server: "https://..." of its cluster. */
enum err kubeconfig_read_plugin(struct kubeconfig *file, const yaml_node_t *map, const char *server,
	struct kube_plugin *out, struct why *why) _must_use_;
/* Sets token, or chain and key, of *config. ERR_NOT_FOUND: no such program; ERR_DENIED: it failed, or what it printed
 * has expired; ERR_TIMEOUT; ERR_MALFORMED: it printed something else. */
enum err kube_plugin_run(const struct kube_plugin *plugin, struct kube_config *config, struct why *why) _must_use_;
