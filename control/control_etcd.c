/* The control plane with others beside it, outside Kubernetes: its store in etcd. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/control_private.h"
#include "control/store/etcd/store_etcd.h"

bool control_has_etcd(const struct control *control)
{
	return control->config->etcd.num_endpoints > 0;
}

bool control_has_file(const struct control *control)
{
	return !control->config->kubernetes.is_enabled && !control_has_etcd(control);
}

enum err control_load_etcd(struct control *control, struct why *why)
{
	const struct control_config *config = control->config;
	struct etcd_members *members = &control->members; /* copies: a reload frees the settings */
	CHECK(config->etcd.num_endpoints <= ETCD_ENDPOINTS_MAX && members->num_endpoints == 0);
	members->num_endpoints = config->etcd.num_endpoints;
	members->ca_file = mem_strdup(config->etcd.ca);
	members->certificate_file = mem_strdup(config->etcd.certificate);
	members->name_servers = control->name_servers;
	members->key_file = mem_strdup(config->etcd.key);
	members->user = config->etcd.user == NULL ? NULL : mem_strdup(config->etcd.user);
	members->password_file = config->etcd.password_file == NULL ? NULL : mem_strdup(config->etcd.password_file);
	for (size_t i = 0; i < config->etcd.num_endpoints; i++)
		members->endpoints[i] = (struct etcd_endpoint){
			mem_strdup(config->etcd.endpoints[i].host), config->etcd.endpoints[i].port};
	const struct store_etcd_options options = {.loop = control->loop,
		.members = members,
		.prefix = config->etcd.prefix,
		.takes_any = control->takes_any_store};
	return store_open_etcd(&options, &control->store, why);
}

void control_etcd_done(struct control *control)
{
	struct etcd_members *members = &control->members;
	for (size_t i = 0; i < members->num_endpoints; i++)
		mem_free(members->endpoints[i].host);
	mem_free(members->ca_file);
	mem_free(members->certificate_file);
	mem_free(members->key_file);
	mem_free(members->user);
	mem_free(members->password_file);
}

size_t control_etcd_paths(const struct control *control, char *out[4])
{
	const char *files[] = {control->members.ca_file, control->members.certificate_file, control->members.key_file,
		control->members.password_file};
	size_t num = 0;
	for (size_t i = 0; i < 4 && files[i] != NULL; i++) {
		char *folder = folder_of(files[i]);
		bool is_known = false;
		for (size_t known = 0; known < num; known++)
			is_known = is_known || strcmp(out[known], folder) == 0;
		if (is_known)
			mem_free(folder);
		else
			out[num++] = folder;
	}
	return num;
}
