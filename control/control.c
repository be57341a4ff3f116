#include "control/control.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/net/tcp_table.h"
#include "control/control_private.h"
#include "control/issue/confine.h"
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void control_fail(struct control *control, enum err err, const char *what, const struct why *why)
{
	log_why(LOG_LEVEL_ERROR, "control", what, why);
	if (control->failure == ERR_NONE)
		control->failure = err;
	loop_stop(control->loop);
}

static void on_signer_lost(void *arg, enum err err)
{
	struct control *control = arg;
	struct why why = {0};
	if (control->is_draining)
		return;
	/* The signer cannot be restarted: this process can no longer reach the keys, by design. */
	err = why_set(&why, err, "a signer that runs",
		"see its last log line; the supervisor restarts the control plane", "the signer has ended");
	control_fail(control, err, "the signer is lost", &why);
}

bool control_lies_above_keys(const struct control *control, const char *folder)
{
	char keys[PATH_MAX];
	return realpath(control->state.key_folder, keys) != NULL && folder_lies_in(keys, folder);
}

/* Folders stay readable, so that a file that is replaced by renaming can be read again: the folder of the file, and the
 * folder with its name, where Kubernetes puts a link to a new folder at each change. But no folder above the keys: then
 * only the present file. Returns how many. */
static size_t settings_paths(const struct control *control, char *out[2])
{
	char file[PATH_MAX], named[PATH_MAX];
	if (control->source->path == NULL || realpath(control->source->path, file) == NULL)
		return 0;
	_cleanup_(mem_freep) char *folder = folder_of(file), *named_folder = folder_of(control->source->path);
	bool is_above = control_lies_above_keys(control, folder);
	out[0] = mem_strdup(is_above ? file : folder);
	if (realpath(named_folder, named) != NULL && strcmp(named, folder) != 0 &&
		!control_lies_above_keys(control, named)) {
		out[1] = mem_strdup(named);
		return 2;
	}
	if (is_above)
		log_warning("control", "the settings file is in a folder above the state folder: a reload reads it "
				       "only if it is written in place");
	return 1;
}

/* The check of the settings again, with links resolved. */
static enum err check_socket_folder(const struct control *control, const char *socket_folder, struct why *why)
{
	char folder[PATH_MAX], keys[PATH_MAX];
	if (realpath(socket_folder, folder) == NULL || realpath(control->state.key_folder, keys) == NULL ||
		(!folder_lies_in(keys, folder) && !folder_lies_in(folder, keys)))
		return ERR_NONE;
	return why_set(why, ERR_CONFIG, "a socket in a folder that is neither state_dir nor above it",
		"move operator_socket, listen.streams_socket or state_dir", "a socket is in %s and the keys are in %s",
		folder, keys);
}

/* The signer makes the key folder before its first answer; until then there is no folder to exclude. */
static enum err shut_out_of_keys(struct control *control, struct why *why)
{
	_cleanup_(mem_freep) char *socket_folder = folder_of(control->config->operator_socket);
	RETURN_IF_ERR(check_socket_folder(control, socket_folder, why));
	_cleanup_(mem_freep) char *unix_folder = control_attestation_folder(control);
	const char *streams_folder = unix_folder == NULL ? socket_folder : unix_folder;
	RETURN_IF_ERR(check_socket_folder(control, streams_folder, why));
	char *read[13 + CONTROL_RESOLVER_PATHS_MAX + CONTROL_FEDERATION_PATHS_MAX + CRL_FILES_MAX] = {NULL};
	struct landlock_path paths[16 + CONTROL_RESOLVER_PATHS_MAX + CONTROL_FEDERATION_PATHS_MAX + CRL_FILES_MAX] = {
		{control->state.store_folder, true}, {socket_folder, true}, {streams_folder, true}};
	size_t num_read = settings_paths(control, read);
	num_read += control_kubernetes_paths(control, read + num_read);
	num_read += control_etcd_paths(control, read + num_read);
	num_read += control_resolver_paths(control, read + num_read);
	num_read += control_federation_paths(control, read + num_read);
	num_read += control_attestation_paths(control, read + num_read);
	if (control->config->other_roots_file != NULL)
		read[num_read++] = control_readable_path(control, control->config->other_roots_file);
	for (size_t i = 0; i < control->config->num_crl_files; i++)
		read[num_read++] = control_readable_path(control, control->config->crl_files[i]);
	for (size_t i = 0; i < num_read; i++)
		paths[3 + i] = (struct landlock_path){read[i], false};
	enum err err = confine_network(control->state.key_folder, paths, 3 + num_read, why);
	for (size_t i = 0; i < num_read; i++)
		mem_free(read[i]);
	return err;
}

static enum err listen_on(uint16_t port, int *out_fd, struct why *why)
{
	struct addr any = {.ip = {.family = AF_INET6}, .port = port};
	const struct socket_listen_options options = {0};
	if (socket_listen(&any, &options, out_fd, why) == ERR_NONE)
		return ERR_NONE;
	any.ip.family = AF_INET; /* a host without IPv6 */
	return socket_listen(&any, &options, out_fd, why);
}

static enum err listen_on_loopback(uint16_t port, int *out_fd, struct why *why)
{
	const struct addr own = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = port};
	return socket_listen(&own, &(struct socket_listen_options){0}, out_fd, why);
}

/* Those that only some control planes have. */
static enum err open_further_ports(struct control *control, struct why *why)
{
	const struct control_config *config = control->config;
	if (config->kubernetes.is_enabled && config->kubernetes.sidecar_image != NULL)
		RETURN_IF_ERR(listen_on(config->kubernetes.webhook_port, &control->webhook_fd, why));
	if (config->kubernetes.is_enabled && config->kubernetes.operator_port != 0)
		RETURN_IF_ERR(listen_on_loopback(config->kubernetes.operator_port, &control->operator_port_fd, why));
	control_page_listen(control);
	return ERR_NONE;
}

static enum err open_ports(struct control *control, struct why *why)
{
	const struct control_config *config = control->config;
	RETURN_IF_ERR(listen_on(config->streams_port, &control->streams_fd, why));
	RETURN_IF_ERR(listen_on(config->metrics_port, &control->metrics_fd, why));
	RETURN_IF_ERR(open_further_ports(control, why));
	if (config->federation.port != 0)
		RETURN_IF_ERR(listen_on(config->federation.port, &control->federation_fd, why));
	if (config->streams_socket != NULL) /* for every user: what is served there is TLS, and attested */
		RETURN_IF_ERR(socket_listen_unix(config->streams_socket, 0666, NULL, &control->streams_unix_fd, why));
	return socket_listen_unix(config->operator_socket, 0600, NULL, &control->operator_fd, why);
}

static enum err make_folders(struct control *control, struct why *why)
{
	_cleanup_(mem_freep) char *socket_folder = folder_of(control->config->operator_socket);
	RETURN_IF_ERR(state_folder_open(control->config->state_dir, &control->state, why));
	RETURN_IF_ERR(folder_make(control->state.key_folder, 0700, why));
	_cleanup_(mem_freep) char *unix_folder = control_attestation_folder(control);
	if (unix_folder != NULL)
		RETURN_IF_ERR(folder_make(unix_folder, 0755, why));
	return folder_make(socket_folder, 0755, why);
}

/* Descriptors besides connections: the store, the signer, listeners, operators, probes of the metrics port, which
 * are answered also when connections have reached their limit, and the least places of the waiting room. */
#define DESCRIPTORS_KEPT       224
#define CONNECTIONS_LEAST      16
#define CONNECTIONS_BY_DEFAULT 12000 /* a higher limit costs memory, so the operator sets it */

static enum err set_connection_limit(struct control_config *config, unsigned long descriptors, struct why *why)
{
	if (descriptors < DESCRIPTORS_KEPT + CONNECTIONS_LEAST)
		return why_set(why, ERR_CONFIG, "a limit of at least 240 open files",
			"raise the hard limit: LimitNOFILE=, or `ulimit -Hn` before the start",
			"the limit of open files is %lu", descriptors);
	unsigned long most = descriptors - DESCRIPTORS_KEPT;
	if (config->max_connections > most)
		return why_set(why, ERR_CONFIG, "a limits.max_connections that the limit of open files allows",
			"lower it, or raise the hard limit: LimitNOFILE=",
			"limits.max_connections is %lu, and %lu open files allow %lu",
			(unsigned long)config->max_connections, descriptors, most);
	if (config->max_connections == 0)
		config->max_connections = most < CONNECTIONS_BY_DEFAULT ? most : CONNECTIONS_BY_DEFAULT;
	return ERR_NONE;
}

/* Keys without a store: the store was lost. A new one would only have to be removed for a backup. */
static enum err check_store_is_there(const struct control *control, struct why *why)
{
	_cleanup_(mem_freep) char *key = mem_printf("%s/root.pem", control->state.key_folder);
	if (access(key, F_OK) != 0 || access(control->state.store_path, F_OK) == 0)
		return ERR_NONE;
	return why_set(why, ERR_STATE_DAMAGED, "the store that belongs to the keys",
		"restore the newest backup of the store, then run `handfast-control restore`", "%s is missing",
		control->state.store_path);
}

/* The store is locked before the signer may write a key: of two control planes at a first start only one continues. */
enum err control_load(struct control *control, struct why *why)
{
	RETURN_IF_ERR(make_folders(control, why));
	if (control->config->kubernetes.is_enabled)
		return control_load_records(control, why);
	if (control_has_etcd(control))
		return control_load_etcd(control, why);
	RETURN_IF_ERR(check_store_is_there(control, why));
	return store_load(control->loop, control->state.store_path, &control->store, why);
}

static enum err set_up(struct control *control, struct why *why)
{
	RETURN_IF_ERR(set_connection_limit(control->config, fd_limit_raise(), why));
	RETURN_IF_ERR(control_load(control, why));
	const struct audit_room *room = control->config->kubernetes.is_enabled ? &audit_in_pod : &audit_on_disk;
	RETURN_IF_ERR(audit_open(control->state.store_folder, room, &control->audit, why));
	control_page_load(control);
	RETURN_IF_ERR(control_start_children(control, on_signer_lost, why));
	RETURN_IF_ERR(shut_out_of_keys(control, why));
	if (control_has_file(control))
		RETURN_IF_ERR(store_start(control->store, why));
	return open_ports(control, why);
}

struct control *control_make(const struct control_source *source, struct control_config *config, const char *release)
{
	struct control *control = mem_new(struct control);
	*control = (struct control){.source = source,
		.config = config,
		.first_config = config,
		.release = release,
		.streams_fd = -1,
		.streams_unix_fd = -1,
		.operator_fd = -1,
		.metrics_fd = -1,
		.webhook_fd = -1,
		.federation_fd = -1,
		.operator_port_fd = -1,
		.page_fd = -1,
		.page_token = BUF_INIT_SECRET(2 * PAGE_TOKEN_MAX),
		.tcp_table_fd = -1};
	control->in_force = TAKE_PTR(config->record);
	control->loop = loop_new(&clock_system);
	control->name_servers = name_servers_new();
	process_facts_open(&control->facts); /* before /proc becomes inaccessible */
	if (config->kubernetes.is_enabled)
		control->tcp_table_fd = tcp_table_open();
	control->metrics = control_metrics_new();
	for (size_t i = 0; i < 3; i++)
		buf_init(&control->authorities[i], 8192);
	return control;
}

enum err control_new(const struct control_source *source, struct control_config *config, const char *release,
	struct control **out, struct why *why)
{
	_cleanup_(control_freep) struct control *control = control_make(source, config, release);
	RETURN_IF_ERR(set_up(control, why));
	*out = TAKE_PTR(control);
	return ERR_NONE;
}

/* --- signals --- */

static void on_terminate(struct loop_signal *signal)
{
	control_drain(container_of(signal, struct control, terminate));
}

static void on_interrupt(struct loop_signal *signal)
{
	control_drain(container_of(signal, struct control, interrupt));
}

static void on_hangup(struct loop_signal *signal)
{
	control_reload(container_of(signal, struct control, hangup));
}

enum err control_run(struct control *control)
{
	signal(SIGPIPE, SIG_IGN);
	loop_signal_start(control->loop, &control->terminate, SIGTERM, on_terminate);
	loop_signal_start(control->loop, &control->interrupt, SIGINT, on_interrupt);
	loop_signal_start(control->loop, &control->hangup, SIGHUP, on_hangup);
	sigset_t held; /* blocked by main(), handled from here on */
	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_UNBLOCK, &held, NULL);
	control_start(control);
	loop_run(control->loop);
	return control->failure;
}

static void close_ports(struct control *control)
{
	fd_close(control->streams_fd);
	fd_close(control->streams_unix_fd);
	fd_close(control->operator_fd);
	fd_close(control->metrics_fd);
	fd_close(control->webhook_fd);
	fd_close(control->federation_fd);
	fd_close(control->operator_port_fd);
	fd_close(control->page_fd);
	fd_close(control->tcp_table_fd);
	loop_signal_stop(&control->terminate);
	loop_signal_stop(&control->interrupt);
	loop_signal_stop(&control->hangup);
	loop_timer_stop(&control->drain);
	loop_timer_stop(&control->linger);
	loop_timer_stop(&control->note);
}

/* The services are freed before the signer and the store, which then answer no more requests. */
static void free_listeners(struct control *control)
{
	loop_run_once(control->loop, false); /* ready answers still reach their callers */
	page_free(control->page);
	buf_done(&control->page_token);
	if (control->serve != NULL)
		serve_free(control->serve);
	other_roots_free(control->other_roots);
	if (control->plane != NULL)
		kube_plane_free(control->plane);
	if (control->pages != NULL)
		pages_free(control->pages);
	federation_free(control->federation);
	if (control->identity != NULL)
		server_identity_free(control->identity);
	if (control->ca_source != NULL)
		ca_source_free(control->ca_source);
	if (control->ca_command != NULL)
		ca_command_free(control->ca_command);
	if (control->rotation != NULL)
		rotation_free(control->rotation);
	if (control->bootstrap != NULL)
		bootstrap_free(control->bootstrap);
	if (control->issuer != NULL)
		issuer_free(control->issuer);
	if (control->token_child > 0) /* its other end was the signer's */
		(void)waitpid(control->token_child, NULL, 0);
}

void control_free(struct control *control)
{
	control->is_draining = true;
	close_ports(control);
	free_listeners(control);
	if (control->trust != NULL)
		trust_free(control->trust);
	crl_files_free(control->lists);
	if (control->distributor != NULL)
		distributor_free(control->distributor);
	if (control->registry != NULL)
		registry_free(control->registry);
	if (control->store != NULL)
		store_close(control->store);
	control_kubernetes_done(control);
	control_etcd_done(control);
	name_servers_free(control->name_servers);
	loop_run_once(control->loop, false);
	if (control->attest != NULL)
		attest_free(control->attest);
	loop_free(control->loop);
	if (control->audit != NULL)
		audit_close(control->audit);
	metrics_free(control->metrics);
	process_facts_close(&control->facts);
	for (size_t i = 0; i < 3; i++)
		buf_done(&control->authorities[i]);
	state_folder_done(&control->state);
	settings_record_free(control->in_force);
	if (control->config != control->first_config)
		control_config_free(control->config);
	control_config_free(control->first_config);
	mem_free(control);
}
