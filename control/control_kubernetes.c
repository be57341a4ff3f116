/* The control plane in Kubernetes: its client of the API server, and its store in custom resources. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/digest.h"
#include "control/control_private.h"
#include "control/store/store_records.h"
#include <stdlib.h>

enum err control_load_records(struct control *control, struct why *why)
{
	const char *kubeconfig = control->config->kubernetes.kubeconfig;
	RETURN_IF_ERR(kubeconfig == NULL ? kube_config_in_cluster(NULL, &control->api, why)
					 : kube_config_load(kubeconfig, &control->api, why));
	control->api.name_servers = control->name_servers;
	control->client = kube_client_new(control->loop, &control->api);
	return store_open_records(
		control->loop, control->client, control->config->kubernetes.namespace_, &control->store, why);
}

const char *control_replica(const struct control *control)
{
	return control->client == NULL ? NULL : getenv("POD_NAME");
}

void control_start_plane(struct control *control)
{
	if (control->client == NULL)
		return;
	const char *replica = control_replica(control);
	struct kube_plane_options options = {.loop = control->loop,
		.client = control->client,
		.config = control->config,
		.registry = control->registry,
		.attest = control->attest,
		.distributor = control->distributor,
		.replica = replica == NULL ? "handfast-control" : replica,
		.shard = metrics_shard(control->metrics, 0),
		.release = control->release,
		.webhook_fd = TAKE_FD(control->webhook_fd)};
	digest_sha256(buf_span(&control->authorities[0]), options.bootstrap_hash);
	control->plane = kube_plane_new(&options);
}

void control_note_bootstrap(const struct control *control)
{
	uint8_t hash[DIGEST_LEN];
	digest_sha256(buf_span(&control->authorities[0]), hash);
	kube_plane_set_bootstrap(control->plane, hash);
}

void control_kubernetes_done(struct control *control)
{
	if (control->client != NULL)
		kube_client_free(control->client);
	kube_config_done(&control->api);
}

size_t control_kubernetes_paths(const struct control *control, char *out[3])
{
	const char *files[] = {control->api.token_file, control->api.ca_file};
	size_t num = 0;
	for (size_t i = 0; i < 2; i++) {
		if (files[i] == NULL)
			continue;
		char *folder = folder_of(files[i]);
		if (num > 0 && strcmp(out[0], folder) == 0)
			mem_free(folder);
		else
			out[num++] = folder;
	}
	return num;
}
