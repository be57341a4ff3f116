/* Where the API server of Kubernetes is, and what proves us to it: from the files that a pod has, or from the current
 * context of a kubeconfig. */
#pragma once

#include "base/core/buf.h"

#define KUBE_SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBE_TOKEN_MAX              (16 * 1024) /* bytes; a projected token has about 1,200 */

struct name_servers;

struct kube_config { /* zeroed is valid to kube_config_done() */
	char *host;  /* a DNS name, or an IP address without brackets */
	uint16_t port;
	const struct name_servers *name_servers; /* borrowed; NULL: none were kept (base/net/resolver.h) */
	char *server_name; /* what the server's certificate must be for, if not `host`; NULL: host */
	struct buf ca_pem;
	char *ca_file;    /* read anew for each connection, since authorities are rotated; NULL: ca_pem alone */
	char *token_file; /* read anew, at most every 30 s; NULL: none */
	struct buf token; /* instead of token_file; empty: none */
	struct buf client_chain_pem, client_key_pem; /* empty: none */
	char *namespace_;                            /* "default" where none is given; never NULL */
};

/* In a pod: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, and ca.crt, token, namespace in `folder` (NULL: the usual
 * one). ERR_NOT_FOUND: this is no pod of Kubernetes. */
enum err kube_config_in_cluster(const char *folder, struct kube_config *out, struct why *why) _must_use_;
/* The current context of a kubeconfig. Paths in it are relative to its folder. ERR_UNSUPPORTED: what needs another
 * program (exec, auth-provider), a proxy, a password, or a server that is not verified. */
enum err kube_config_load(const char *path, struct kube_config *out, struct why *why) _must_use_;
/* The same for a command line: where the user has a credential plugin (`exec`; Kubernetes: "client-go credential
 * plugins", client.authentication.k8s.io/v1 and v1beta1), runs that program, with this one's standard error and for 5
 * minutes at most, and takes its token or certificate. A program that runs on its own must not: a plugin may ask a
 * person. */
enum err kube_config_load_with_plugin(const char *path, struct kube_config *out, struct why *why) _must_use_;
void kube_config_done(struct kube_config *config); /* wipes the secrets */
