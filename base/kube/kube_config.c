#include "base/kube/kube_config.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/kube/kube_config_private.h"
#include "base/net/fd.h"
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1024 * 1024, NAMESPACE_MAX = 256 };

void kube_config_done(struct kube_config *config)
{
	mem_free(config->host);
	mem_free(config->server_name);
	mem_free(config->ca_file);
	mem_free(config->token_file);
	mem_free(config->namespace_);
	buf_done(&config->ca_pem);
	buf_wipe(&config->token);
	buf_done(&config->client_chain_pem);
	buf_wipe(&config->client_key_pem);
	*config = (struct kube_config){0};
}

enum err kube_config_read(const char *path, struct buf *out, struct why *why)
{
	buf_init(out, FILE_MAX);
	return fd_read_file(path, FILE_MAX, out, why);
}

static void read_namespace(const char *folder, struct kube_config *config)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(NAMESPACE_MAX);
	char *path = mem_printf("%s/namespace", folder);
	enum err err = fd_read_file(path, NAMESPACE_MAX, &text, NULL);
	mem_free(path);
	if (err == ERR_NONE)
		config->namespace_ = mem_strdup(buf_cstr(&text));
	else
		config->namespace_ = mem_strdup("default");
	config->namespace_[strcspn(config->namespace_, " \r\n")] = '\0';
}

enum err kube_config_in_cluster(const char *folder, struct kube_config *out, struct why *why)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	_cleanup_(kube_config_done) struct kube_config config = {0};
	if (folder == NULL)
		folder = KUBE_SERVICE_ACCOUNT_FOLDER;
	if (host == NULL || host[0] == '\0')
		return why_set(why, ERR_NOT_FOUND, "a pod of Kubernetes", "run this in a pod, or name a kubeconfig",
			"KUBERNETES_SERVICE_HOST is not set");
	if (port == NULL || port_parse(span_of_str(port), &config.port) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "a port from 1 to 65535",
			"set KUBERNETES_SERVICE_PORT in the pod's environment to the API server's port",
			"KUBERNETES_SERVICE_PORT is %s", port != NULL ? port : "not set");
	config.host = mem_strdup(host);
	config.ca_file = mem_printf("%s/ca.crt", folder);
	config.token_file = mem_printf("%s/token", folder);
	RETURN_IF_ERR(kube_config_read(config.ca_file, &config.ca_pem, why));
	read_namespace(folder, &config);
	*out = config;
	config = (struct kube_config){0};
	return ERR_NONE;
}
