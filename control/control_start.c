/* From an open store to open listeners, step by step: each step waits for a commit or for the signer. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/control_private.h"
#include "control/issue/certificate.h"

static void list_obstacles(void *arg, struct buf *out)
{
	const struct control *control = arg;
	enum err full = ERR_NONE;
	if (control->is_draining)
		full = buf_append_str(out, "stopping\n");
	else if (control->serve == NULL || !trust_is_ready(control->trust))
		full = buf_append_str(out, "starting: the first state is not stored yet\n");
	else
		serve_list_obstacles(control->serve, out);
	if (control->plane != NULL)
		kube_plane_list_obstacles(control->plane, out);
	if (control->serve != NULL && !server_identity_is_usable(control->identity))
		full = buf_append_str(out, "server certificate: it has expired and is being renewed\n");
	(void)full; /* one line suffices to report not ready */
}

static void list_conditions(void *arg, struct buf *out)
{
	const struct control *control = arg;
	if (control->serve != NULL)
		serve_list_conditions(control->serve, out);
	if (control->plane != NULL)
		kube_plane_list_conditions(control->plane, out);
}

static bool is_ready(struct control *control)
{
	_cleanup_(buf_done) struct buf obstacles = BUF_INIT(4096);
	list_obstacles(control, &obstacles);
	return buf_len(&obstacles) == 0;
}

static void set_process(const struct control *control, struct metric_shard *shard)
{
	metric_set(shard, CONTROL_BUILD_INFO, 1);
	metric_set(shard, CONTROL_PROCESS_CPU, process_cpu_ms());
	metric_set(shard, CONTROL_PROCESS_RESIDENT, process_resident_bytes(&control->facts));
	metric_set(shard, CONTROL_PROCESS_FDS, process_open_descriptors(&control->facts));
	metric_set(shard, CONTROL_PROCESS_FDS_MAX, process_max_descriptors());
	metric_set(shard, CONTROL_PROCESS_START, control->facts.start_wall_s);
}

static void on_scrape(void *arg)
{
	struct control *control = arg;
	struct metric_shard *shard = metrics_shard(control->metrics, 0);
	set_process(control, shard);
	uint64_t num_displaced = pages_num_displaced(control->pages);
	metric_add(shard, CONTROL_REFUSED_PROBES, (int64_t)(num_displaced - control->num_displaced));
	control->num_displaced = num_displaced;
	metric_set(shard, CONTROL_LOG_LOST, (int64_t)log_num_lost());
	metric_set(shard, CONTROL_READY, is_ready(control));
	if (control->identity != NULL)
		metric_set(shard, CONTROL_SERVER_CERTIFICATE_EXPIRES, server_identity_not_after_s(control->identity));
	if (control->serve != NULL)
		serve_scrape(control->serve);
}

static void on_answers_changed(void *arg, const struct ip_addr *ip)
{
	struct control *control = arg;
	if (control->distributor != NULL)
		distributor_registry_changed(control->distributor, ip);
}

static void on_address_freed(void *arg, const struct ip_addr *ip)
{
	const struct control *control = arg;
	if (control->serve != NULL)
		serve_address_freed(control->serve, ip);
}

static void open_listeners(struct control *control)
{
	const struct control_config *config = control->config;
	static const char *const kinds[] = {"bootstrap root", "root", "intermediate"};
	struct serve_authority authorities[3];
	for (size_t i = 0; i < 3; i++) {
		authorities[i] = (struct serve_authority){.kind = kinds[i], .der = buf_span(&control->authorities[i])};
		if (certificate_validity(
			    authorities[i].der, &authorities[i].not_before_s, &authorities[i].not_after_s) != ERR_NONE)
			log_error("control",
				"the %s cannot be parsed; expected: a DER certificate in the state folder; fix: "
				"restore a backup of state_dir (docs/operations.md)",
				kinds[i]);
	}
	struct serve_options options = {.loop = control->loop,
		.store = control->store,
		.registry = control->registry,
		.distributor = control->distributor,
		.attest = control->attest,
		.issuer = control->issuer,
		.trust = control->trust,
		.identity = control->identity,
		.metrics = metrics_shard(control->metrics, 0),
		.leaf_ttl_s = (int64_t)(config->leaf_ttl_ms / 1000),
		.forget_after_s = (int64_t)(config->forget_after_ms / 1000),
		.attest_per_second = (uint32_t)config->attest_per_second,
		.max_connections = (uint32_t)config->max_connections,
		.max_handshakes = (uint32_t)config->max_handshakes,
		.release = control->release,
		.settings = &control->in_force,
		.authorities = authorities,
		.num_authorities = 3,
		.streams_fd = TAKE_FD(control->streams_fd),
		.operator_fd = TAKE_FD(control->operator_fd)};
	CHECK(control->serve == NULL && options.streams_fd >= 0 && options.operator_fd >= 0);
	control->serve = serve_new(&options);
	log_notice("control", "ready: streams on port %u, metrics on port %u, operators at %s", config->streams_port,
		config->metrics_port, config->operator_socket);
}

static void on_trust_changed(void *arg)
{
	struct control *control = arg;
	control_note_store(control); /* from now on a store without this ban is refused */
	if (control->serve == NULL)
		open_listeners(control);
	serve_trust_changed(control->serve);
	if (control->must_reload)
		control_reload(control);
}

static void start_services(struct control *control)
{
	CHECK(control->registry == NULL && control->trust == NULL && control->serve == NULL);
	const struct registry_observer observer = {on_answers_changed, on_address_freed, control};
	struct why why = {0};
	control->attest = attest_new(control->loop, control->store, &control->config->trust_domain);
	control->registry = registry_new(control->loop, control->store, control->config, &observer);
	control->distributor = distributor_new(control->loop, control->registry, control->config);
	control_start_plane(control);
	const struct trust_options options = {.loop = control->loop,
		.store = control->store,
		.domain = &control->config->trust_domain,
		.root = buf_span(&control->authorities[1]),
		.on_change = on_trust_changed,
		.arg = control};
	enum err err = trust_new(&options, &control->trust, &why);
	if (err != ERR_NONE)
		control_fail(control, err, "the mesh's root cannot be used", &why);
}

static void on_identity(void *arg, enum err err, const struct why *why)
{
	struct control *control = arg;
	if (err != ERR_NONE)
		control_fail(control, err, "no server certificate", why);
	else
		start_services(control);
}

static void on_fenced(struct control *control)
{
	CHECK(control->identity == NULL);
	control->identity = server_identity_new(control->loop, control->issuer, on_identity, control);
}

void control_start(struct control *control)
{
	const struct pages_options pages = {.loop = control->loop,
		.listening_fd = TAKE_FD(control->metrics_fd),
		.metrics = control->metrics,
		.list_obstacles = list_obstacles,
		.list_conditions = list_conditions,
		.on_scrape = on_scrape,
		.arg = control};
	control->pages = pages_new(&pages);
	control_fence(control, on_fenced);
}
