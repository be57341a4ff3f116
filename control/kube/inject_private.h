/* Parts of injection; only control/kube/inject*.c include this. */
#pragma once

#include "base/core/check.h"
#include "control/kube/inject.h"

#define INJECT_SIDECAR      "handfast"
#define INJECT_INIT         "handfast-init"
#define INJECT_PROBES       "HANDFAST_SIDECAR_PROBES" /* the variable of the sidecar's setting */
#define INJECT_INTERCEPTION "HANDFAST_SIDECAR_INTERCEPTION"
#define INJECT_TPROXY       "tproxy"
#define INJECT_TOKEN_VOLUME "handfast-token"
#define INJECT_AGENT_VOLUME "handfast-agent"
#define INJECT_ISTIO_VOLUME "handfast-istio"

/* The user's requests, from annotations; NULL: not given. Borrowed from the pod. */
struct inject_wants {
#define ANNOTATION(name, member, kind, again, target) const char *member;
#include "control/kube/annotations.def"
#undef ANNOTATION
};

struct injection {
	const json_t *metadata, *spec; /* NULL or of a wrong type reads as empty */
	const struct inject_namespace *ns;
	const struct inject_options *options;
	struct inject_wants wants;
	bool keeps_source; /* mode tproxy; known once inject_check() has passed */
	struct buf probes; /* what the sidecar shall serve, as its setting `probes` takes it: a line each */
	unsigned num_probes;
	struct inject_result *out;
};

/* --- inject_pod.c: reading a pod --- */
const char *inject_text(const json_t *object, const char *key); /* "" where there is no text */
/* Every container of the pod, of all its lists: false at the end. Begin with a zeroed *at. */
struct inject_container {
	const json_t *container;
	const char *list, *name; /* "initContainers", "containers", "ephemeralContainers" */
	size_t index;            /* in its list */
	unsigned step;           /* which list; private */
};
bool inject_next_container(const struct injection *injection, struct inject_container *at);
bool inject_is_native_sidecar(const struct inject_container *container);
bool inject_is_own(const struct inject_container *container); /* of an injected pod */
bool inject_find_init(const struct injection *injection, const char *name, size_t *out_index);
bool inject_has_mark(const struct injection *injection); /* the annotation */
/* Has the mark and the sidecar, or a sidecar with its token: `kubectl debug --copy-to` leaves annotations out. */
bool inject_is_injected(const struct injection *injection);
/* Whether the list has an item with that value: a variable's name, a mount's path. */
bool inject_has_item(const json_t *list, const char *key, const char *value);
bool inject_has_pod_resources(const struct injection *injection); /* of the pod as a whole (Kubernetes 1.34) */
void inject_warn(struct injection *injection, const char *format, ...) _printf_(2, 3);
enum err inject_refuse(struct injection *injection, const char *expected, const char *fix, const char *got, ...)
	_printf_(4, 5);
/* Appends {"op", "path", "value"} to the patch; steals value. `path` is a format of a JSON pointer (RFC 6901). */
void inject_put(struct injection *injection, const char *op, json_t *value, const char *path, ...) _printf_(4, 5);

/* --- the parts, in the order of their use --- */
enum err inject_read_annotations(struct injection *injection) _must_use_; /* ERR_CONFIG: refused */
enum err inject_read_namespace(struct injection *injection) _must_use_;   /* what the pod leaves open */
bool inject_is_left_alone(struct injection *injection);                   /* adds its warnings */
enum err inject_check(struct injection *injection, bool is_injected) _must_use_;
/* inject_interception.c: redirection, or the mode tproxy (decision 093) */
enum err inject_choose_interception(struct injection *injection, bool is_injected) _must_use_;
json_t *inject_sidecar_security(const struct injection *injection);
void inject_put_interception(const struct injection *injection, json_t *env, const char *name);
void inject_rewrite_probes(struct injection *injection);
void inject_put_env(json_t *env, const char *name, const char *value); /* NULL: nothing */
json_t *inject_sidecar_container(const struct injection *injection);
json_t *inject_init_container(const struct injection *injection);
/* inject_again.c: annotations as variables; those that a pod has got since it was injected */
void inject_put_sidecar_wants(const struct injection *injection, json_t *env);
void inject_put_init_wants(const struct injection *injection, json_t *env);
void inject_refresh_wants(struct injection *injection, size_t sidecar);
/* inject_workload.c: the Workload API for the user's containers, by annotation */
bool inject_wants_workload_api(const struct injection *injection);
void inject_share_workload_api(struct injection *injection);
void inject_workload_sidecar(json_t *env, json_t *mounts); /* appends what the sidecar needs for it */
void inject_repair_workload_api(struct injection *injection, size_t sidecar, const json_t *container);
json_t *inject_workload_volume(void);
/* inject_agent.c: the identity from a SPIFFE agent, by annotation */
bool inject_wants_agent(const struct injection *injection);
void inject_agent_sidecar(const struct injection *injection, json_t *env, json_t *mounts);
json_t *inject_agent_volume(void);
void inject_warn_of_agent(struct injection *injection, const json_t *container);
/* inject_istio.c: the identity from the CA of an Istio mesh, by annotation */
bool inject_wants_istio(const struct injection *injection);
enum err inject_check_istio(struct injection *injection) _must_use_;
void inject_istio_sidecar(const struct injection *injection, json_t *env, json_t *mounts);
json_t *inject_istio_volume(void);
void inject_add_volumes(struct injection *injection); /* those that are missing */
