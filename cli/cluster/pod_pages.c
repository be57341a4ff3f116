#include "cli/cluster/pod_pages.h"
#include "base/core/mem.h"
#include "cli/cluster/api.h"
#include "cli/cluster/pod_page.h"
#include "cli/cluster/pod_sidecar.h"
#include <string.h>

struct pod_pages {
	struct api api;
	char *namespace_, *pod, *name;
};

const char *pod_pages_name(const struct pod_pages *pages)
{
	return pages->name;
}

void pod_pages_close(struct pod_pages *pages)
{
	if (pages == NULL)
		return;
	api_done(&pages->api);
	mem_free(pages->namespace_);
	mem_free(pages->pod);
	mem_free(pages->name);
	mem_free(pages);
}

/* --- the pod --- */

static enum err read_pod(struct pod_pages *pages, struct why *why)
{
	_cleanup_(json_decrefp) json_t *pod = NULL;
	_cleanup_(mem_freep) char *path = mem_printf("/api/v1/namespaces/%s/pods/%s", pages->namespace_, pages->pod);
	enum err err = api_get(&pages->api, path, &pod, why);
	if (err == ERR_DENIED && strstr(why->got, "may not") != NULL)
		return pod_page_denied(pages->namespace_, "get pods of", why);
	if (err == ERR_NOT_FOUND)
		return why_set(why, err, "the name of a pod, and its namespace as -n",
			"list the names: `kubectl get pods --all-namespaces`", "namespace %.63s has no pod %.100s",
			pages->namespace_, pages->pod);
	return err != ERR_NONE ? err : pod_sidecar_judge(pod, why);
}

static enum err read_names(const struct command_line *line, struct pod_pages *pages, struct why *why)
{
	const char *given = command_line_value(line, "namespace"), *argument = line->arguments[0];
	const char *name = line->num_arguments == 1 ? pod_sidecar_name(argument) : NULL;
	if (name == NULL)
		return why_set(why, ERR_CONFIG, "one pod, as pod/NAME or NAME",
			"list the names: `kubectl get pods --all-namespaces`", "%s: %.100s",
			line->num_arguments == 1 ? "this is not the name of a pod" : "several names are given, from",
			argument);
	if (given != NULL && pod_sidecar_name(given) != given)
		return why_set(why, ERR_CONFIG, "the name of a namespace", "correct --namespace",
			"--namespace is %.100s", given);
	pages->namespace_ = mem_strdup(given != NULL ? given : pages->api.config->namespace_);
	pages->pod = mem_strdup(name);
	pages->name = mem_printf("%s/%s", pages->namespace_, pages->pod);
	return ERR_NONE;
}

enum err pod_pages_open(const struct command_line *line, struct pod_pages **out, struct why *why)
{
	_cleanup_(pod_pages_closep) struct pod_pages *pages = mem_new(struct pod_pages);
	RETURN_IF_ERR(api_open(line, &pages->api, why));
	RETURN_IF_ERR(read_names(line, pages, why));
	RETURN_IF_ERR(read_pod(pages, why));
	*out = TAKE_PTR(pages);
	return ERR_NONE;
}

enum err pod_pages_get(struct pod_pages *pages, const char *path, json_t **out, struct why *why)
{
	return pod_page_fetch(&pages->api, pages->namespace_, pages->pod, path, out, why);
}
