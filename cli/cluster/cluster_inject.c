#include "cli/cluster/cluster_inject.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/core/version.h"
#include "cli/cluster/api.h"
#include "cli/cluster/checks.h"
#include "cli/cluster/document_file.h"
#include "cli/cluster/documents.h"
#include "cli/cluster/json_patch.h"
#include "cli/cluster/learned.h"
#include "cli/cluster/template.h"
#include "cli/confine.h"
#include "cli/show.h"
#include "sidecar/identity/control_address.h"
#include <stdio.h>
#include <string.h>

enum { SHA256_LEN = 32 };

#define IMAGES "docker.io/handfast/"

struct injecting {
	struct command_line *line;
	struct api api;
	json_t *namespaces; /* NULL: none was asked for; each pod gets a sidecar */
	json_t *tried;      /* the pod that the options are borrowed from */
	struct inject_options options;
	json_t *out; /* what is printed */
	unsigned num_refused;
};

/* --- options: by flags, or from the webhook --- */

static const char *flag_or(const struct command_line *line, const char *flag, const char *otherwise)
{
	const char *given = command_line_value(line, flag);
	return given != NULL ? given : otherwise;
}

static const char *control_namespace(const struct command_line *line)
{
	return flag_or(line, "control-namespace", CHECKS_CONTROL_NAMESPACE);
}

static bool is_offline(const struct command_line *line)
{
	return command_line_value(line, "control-address") != NULL && command_line_value(line, "root-sha256") != NULL;
}

static enum err try_namespace(struct injecting *injecting, const json_t *namespace_, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("/api/v1/namespaces/%s/pods?dryRun=All", checks_name(namespace_));
	_cleanup_(json_decrefp) json_t *pod = checks_trial_pod();
	json_decref(injecting->tried);
	injecting->tried = NULL;
	RETURN_IF_ERR(api_create(&injecting->api, path, pod, &injecting->tried, why));
	return learned_read(injecting->tried, &injecting->options, why);
}

/* How much a pod that is tried in the namespace shows. One that has an interception of its own hides the mesh's. */
static unsigned teaches(const json_t *namespace_)
{
	return checks_refuses_injection(namespace_) ? 0 : checks_interception(namespace_)[0] != '\0' ? 1 : 2;
}

/* The webhook itself is asked: a pod that the API server does not keep. */
static enum err learn(struct injecting *injecting, struct why *why)
{
	const json_t *found = NULL;
	injecting->namespaces = json_array();
	RETURN_IF_ERR(api_open(injecting->line, &injecting->api, why));
	RETURN_IF_ERR(api_list(&injecting->api, "/api/v1/namespaces", checks_collect, injecting->namespaces, why));
	for (size_t i = 0; i < json_array_size(injecting->namespaces); i++) {
		const json_t *one = json_array_get(injecting->namespaces, i);
		if (checks_is_labeled(one) && (found == NULL || teaches(one) > teaches(found)))
			found = one;
	}
	if (found != NULL)
		return try_namespace(injecting, found, why);
	return why_set(why, ERR_NOT_FOUND,
		"a namespace with the label " CHECKS_LABEL "=enabled, where the webhook can be asked",
		"label the namespace, or give --control-address and --root-sha256",
		"the cluster has no namespace with the label");
}

static enum err take_options(struct injecting *injecting, struct why *why)
{
	const struct command_line *line = injecting->line;
	struct inject_options *options = &injecting->options;
	*options = (struct inject_options){.sidecar_image = IMAGES "handfast-sidecar:" HANDFAST_VERSION,
		.init_image = IMAGES "handfast-init:" HANDFAST_VERSION,
		.version = HANDFAST_VERSION,
		.trust_domain = "cluster.local",
		.audience = "handfast"};
	if (is_offline(line))
		confine();
	else
		RETURN_IF_ERR(learn(injecting, why));
	options->own_namespace = control_namespace(line);
	options->sidecar_image = flag_or(line, "sidecar-image", options->sidecar_image);
	options->init_image = flag_or(line, "init-image", options->init_image);
	options->trust_domain = flag_or(line, "trust-domain", options->trust_domain);
	options->control_address = flag_or(line, "control-address", options->control_address);
	options->bootstrap_root_sha256 = flag_or(line, "root-sha256", options->bootstrap_root_sha256);
	return ERR_NONE;
}

/* --- objects --- */

static const char *namespace_of(const struct injecting *injecting, const json_t *object)
{
	const char *own = checks_text(json_object_get(object, "metadata"), "namespace");
	if (own[0] != '\0')
		return own;
	const struct kube_config *config = injecting->api.config; /* NULL: offline */
	const char *context = config != NULL ? config->namespace_ : NULL;
	return flag_or(injecting->line, "namespace", context != NULL ? context : "default");
}

static const json_t *find_namespace(const struct injecting *injecting, const char *name)
{
	for (size_t i = 0; i < json_array_size(injecting->namespaces); i++)
		if (strcmp(checks_name(json_array_get(injecting->namespaces, i)), name) == 0)
			return json_array_get(injecting->namespaces, i);
	return NULL;
}

static void report(const json_t *object, const char *text)
{
	char kind[64], name[128], escaped[1024];
	const json_t *metadata = json_object_get(object, "metadata");
	(void)escape_ascii(span_of_str(text), escaped, sizeof(escaped));
	fprintf(stderr, "%s %s: %s\n", show_text(object, "kind", kind, sizeof(kind)),
		show_text(metadata, "name", name, sizeof(name)), escaped);
}

static void report_all(const json_t *object, const struct inject_result *result)
{
	char text[1024];
	for (size_t i = 0; i < json_array_size(result->warnings); i++)
		report(object, json_string_value(json_array_get(result->warnings, i)));
	if (result->verdict == INJECT_REFUSE)
		report(object, why_format(&result->detail, text, sizeof(text)));
}

/* What the webhook would do to the pods of the object. */
static void inject(struct injecting *injecting, const json_t *object, json_t *template_)
{
	const char *name = namespace_of(injecting, object);
	const json_t *known = find_namespace(injecting, name);
	const char *level = checks_label(known, CHECKS_POD_SECURITY), *interception = checks_interception(known);
	const struct inject_namespace ns = {.name = name,
		.pod_security = level[0] != '\0' ? level : NULL,
		.interception = interception[0] != '\0' ? interception : NULL,
		.is_left_alone = injecting->namespaces != NULL && (known == NULL || !checks_is_labeled(known))};
	struct inject_result result;
	if (ns.is_left_alone)
		report(object, "no sidecar: its namespace lacks the label " CHECKS_LABEL "=enabled");
	if (strcmp(checks_label(template_, CHECKS_LABEL), "disabled") == 0)
		return; /* the webhook's objectSelector */
	if (!json_is_object(json_object_get(template_, "metadata")))
		(void)json_object_set_new(template_, "metadata", json_object()); /* as the API server does */
	inject_pod(template_, &ns, &injecting->options, &result);
	report_all(object, &result);
	if (result.verdict == INJECT_REFUSE)
		injecting->num_refused++;
	if (result.verdict == INJECT_CHANGE && json_patch_apply(template_, result.patch) != ERR_NONE) {
		report(object, "the patch does not fit; this is a bug, please report it");
		injecting->num_refused++;
	}
	inject_result_done(&result);
}

/* An object, or a List of them. */
static void take(struct injecting *injecting, json_t *object)
{
	unsigned before = injecting->num_refused;
	json_t *items = json_object_get(object, "items"), *template_ = template_of(object);
	if (strcmp(checks_text(object, "kind"), "List") == 0 && json_is_array(items)) {
		for (size_t i = 0; i < json_array_size(items); i++)
			take(injecting, json_array_get(items, i));
		return;
	}
	if (template_ != NULL)
		inject(injecting, object, template_);
	if (injecting->num_refused == before)
		(void)json_array_append(injecting->out, object);
}

/* --- input and output --- */

static enum err print(const struct injecting *injecting)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(8 * DOCUMENTS_MAX);
	if (injecting->line->json) {
		show_json(json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", injecting->out));
		return ERR_NONE;
	}
	for (size_t i = 0; i < json_array_size(injecting->out); i++)
		RETURN_IF_ERR(document_write(json_array_get(injecting->out, i), &text));
	(void)fwrite(buf_span(&text).ptr, 1, buf_len(&text), stdout);
	return ERR_NONE;
}

static enum err run(struct injecting *injecting, const char *file, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(DOCUMENTS_MAX);
	_cleanup_(json_decrefp) json_t *documents = NULL;
	CHECK(file != NULL); /* the command line demands it */
	bool is_stdin = strcmp(file, "-") == 0;
	const char *name = is_stdin ? "the standard input" : file;
	RETURN_IF_ERR(document_file_read(file, &text, why));
	RETURN_IF_ERR(documents_read(buf_span(&text), name, &documents, why));
	if (json_array_size(documents) == 0)
		return why_set(why, ERR_MALFORMED, "an object of Kubernetes, or several, as YAML or JSON",
			"check the file, or the command whose output it is", "%.200s has no object", name);
	RETURN_IF_ERR(take_options(injecting, why));
	for (size_t i = 0; i < json_array_size(documents); i++)
		take(injecting, json_array_get(documents, i));
	if (print(injecting) != ERR_NONE)
		return why_set(why, ERR_TOO_LARGE, "at most 128 MiB of output", "give fewer objects at once",
			"the objects cannot be written");
	return ERR_NONE;
}

/* As the sidecar itself would find at its start, in every pod. */
static void check_flags(struct command_line *line)
{
	struct control_address address = {0};
	uint8_t root[SHA256_LEN];
	struct why why = {0};
	const char *given = command_line_value(line, "control-address"),
		   *hash = command_line_value(line, "root-sha256");
	if (given != NULL && control_address_parse(given, &address, &why) != ERR_NONE)
		command_line_error(line, "--control-address", why.expected, given);
	if (hash != NULL && !hex_parse(span_of_str(hash), root, sizeof root))
		command_line_error(
			line, "--root-sha256", "64 hexadecimal digits, as `handfast status` shows them", hash);
	control_address_done(&address);
}

enum cli_exit cluster_inject(struct command_line *line)
{
	struct injecting injecting = {.line = line, .out = json_array()};
	struct why why = {0};
	const char *file = command_line_value(line, "file");
	if (file == NULL)
		command_line_error_text(line, "--file", "-f FILE, or - for the standard input", "no file is given");
	check_flags(line);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	enum err err = run(&injecting, file, &why);
	enum cli_exit code = err != ERR_NONE             ? command_line_fail(line, err, &why)
			     : injecting.num_refused > 0 ? CLI_REFUSED
							 : CLI_DONE;
	json_decref(injecting.out);
	json_decref(injecting.tried);
	json_decref(injecting.namespaces);
	api_done(&injecting.api);
	return code;
}
