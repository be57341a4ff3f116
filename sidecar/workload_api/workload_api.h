/* The identity for the application: the SPIFFE Workload API, and Envoy's secret discovery (SDS, version 3), as gRPC in
 * plaintext over one Unix socket. Each stream has the whole state at once and again at each change. Main thread only.
 * Specification: SPIFFE Workload Endpoint, SPIFFE Workload API. */
#pragma once

#include "base/core/loop.h"
#include "certs/credentials.h"
#include "sidecar/workload_api/workload_caller.h"

struct workload_api;
struct rpc_client;

struct workload_api_options {
	struct loop *loop;
	const char *path;              /* of the socket; borrowed */
	struct passed_sockets *passed; /* a listening socket that is taken if it has that path; NULL: none */
	bool is_held;                  /* accepts nothing until workload_api_resume() */
	bool allows_every_user;        /* that can open the socket */
	const uid_t *uids;             /* borrowed; root and this process's user are always allowed */
	size_t num_uids;
};
enum err workload_api_new(
	const struct workload_api_options *options, struct workload_api **out, struct why *why) _must_use_;
void workload_api_resume(struct workload_api *api);
void workload_api_hold(struct workload_api *api);        /* as is_held; open streams go on */
int workload_api_socket(const struct workload_api *api); /* the listening socket; stays the API's */
/* NULL is allowed. Removes the file, but not where another process listens there. */
void workload_api_free(struct workload_api *api);
/* The connection to the control plane, which makes JWT-SVIDs; NULL: it has closed. */
void workload_api_attach(struct workload_api *api, struct rpc_client *client);
/* NULL: the identity has expired. A call that comes while there is none waits up to 10 s. */
void workload_api_set_credentials(struct workload_api *api, struct credentials *credentials);
