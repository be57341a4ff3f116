/* What injection does to a pod: a pod as JSON in, a JSON patch (RFC 6902), warnings or a refusal out. Pure. A second
 * run on a pod that has been patched yields no change (reinvocationPolicy IfNeeded), and repairs what another webhook
 * has undone. Objects are those of the Kubernetes API, v1 (Pod, Container, Probe). */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

#define INJECT_ANNOTATIONS   "handfast.dev/"
#define INJECT_WARNINGS_MAX  16  /* kubectl prints them; further ones are left out */
#define INJECT_WARNING_CHARS 256 /* longer ones are cut by the API server */

struct inject_options { /* borrowed texts */
	const char *sidecar_image, *init_image;
	const char *version; /* of this control plane; the pod's annotation handfast.dev/version */
	const char *trust_domain;
	const char *own_namespace;         /* its pods are left as they are */
	const char *control_address;       /* as the sidecar's control.address; NULL: not known yet, pods are refused */
	const char *bootstrap_root_sha256; /* 64 hexadecimal digits */
	const char *audience;              /* of the sidecar's token: what attestation takes */
	bool keeps_source;                 /* mode tproxy, where neither pod nor namespace has another one */
	bool has_cni;                      /* the CNI plugin writes the interception rules: no init container */
};

struct inject_namespace {
	const char *name;         /* of the review's request: a pod's own may be empty */
	const char *pod_security; /* label pod-security.kubernetes.io/enforce; NULL: none, or not known */
	const char *interception; /* annotation handfast.dev/interception; NULL: none, or not known */
	bool is_left_alone;       /* known to lack the label handfast.dev/inject=enabled */
};

enum inject_verdict {
	INJECT_LEAVE,  /* allowed as it is */
	INJECT_CHANGE, /* allowed with the patch */
	INJECT_REFUSE,
};

struct inject_result {
	enum inject_verdict verdict;
	json_t *patch;     /* an array of operations; empty unless INJECT_CHANGE */
	json_t *warnings;  /* an array of strings */
	struct why detail; /* INJECT_REFUSE */
};

/* `pod`: what the API server sent; members of a wrong type count as absent. The caller releases *out. */
void inject_pod(const json_t *pod, const struct inject_namespace *ns, const struct inject_options *options,
	struct inject_result *out);
void inject_result_done(struct inject_result *result);
