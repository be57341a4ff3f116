/* From an open store to open listeners, step by step: each step waits for a commit or for the signer. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/net/service_manager.h"
#include "certs/expiry.h"
#include "control/control_private.h"
#include "control/issue/certificate.h"

/* Sidecars that are away, and unused join tokens, have as long until the former one ends. */
#define BOOTSTRAP_ROTATE_BEFORE_S (365LL * 86400)

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
	if (control->federation != NULL)
		federation_list_conditions(control->federation, out);
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
	if (control->federation != NULL)
		federation_scrape(control->federation);
}

struct listing {
	struct cert_expiry rows[SERVE_CERTIFICATES_MAX + KUBE_PLANE_CERTIFICATES_MAX];
	const char *trust_domain;
	size_t num;
};

static void add_certificate(void *arg, const char *kind, struct span der)
{
	struct listing *list = arg;
	if (list->num < sizeof list->rows / sizeof list->rows[0])
		list->rows[list->num++] = (struct cert_expiry){kind, list->trust_domain, der};
}

static void put_rows(void *arg, struct buf *out)
{
	const struct control *control = arg;
	struct listing list = {.trust_domain = control->config->trust_domain.name};
	if (control->serve != NULL)
		serve_each_certificate(control->serve, add_certificate, &list);
	if (control->plane != NULL)
		kube_plane_each_certificate(control->plane, add_certificate, &list);
	/* The page has room for far more. */
	(void)!cert_expiry_encode(control_certificate_metrics, list.rows, list.num, out);
	if (control->federation != NULL)
		federation_put_metrics(control->federation, out);
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

static bool is_replica(void *arg, const char *name)
{
	const struct control *control = arg;
	return control->plane == NULL || kube_plane_has_replica(control->plane, name);
}

static void start_ca_source(struct control *control)
{
	const struct ca_source_options options = {.loop = control->loop,
		.issuer = control->issuer,
		.rotation = control->rotation,
		.command = control->ca_command,
		.has_token = control->token_child > 0};
	if (control->config->ca.source != CA_SOURCE_BUILT_IN)
		control->ca_source = ca_source_new(&options);
}

static void open_listeners(struct control *control)
{
	const struct control_config *config = control->config;
	static const char *const kinds[] = {"bootstrap root", "root", "intermediate"};
	struct serve_authority authorities[3];
	for (size_t i = 0; i < 3; i++) {
		authorities[i] = (struct serve_authority){.kind = kinds[i], .der = buf_span(&control->authorities[i])};
		if (authorities[i].der.len > 0 && certificate_validity(authorities[i].der, &authorities[i].not_before_s,
							  &authorities[i].not_after_s) != ERR_NONE)
			log_error("control",
				"the %s cannot be parsed; expected: a DER certificate in the state folder; fix: "
				"restore a backup of state_dir (docs/back-up.md)",
				kinds[i]);
	}
	start_ca_source(control);
	struct serve_options options = {.loop = control->loop,
		.ca_source = control->ca_source,
		.store = control->store,
		.registry = control->registry,
		.distributor = control->distributor,
		.attest = control->attest,
		.issuer = control->issuer,
		.trust = control->trust,
		.rotation = control->rotation,
		.federation = control->federation,
		.bootstrap = control->bootstrap,
		.has_unrecorded = control->client != NULL,
		.replica = control_replica(control),
		.is_replica = is_replica,
		.replicas_arg = control,
		.identity = control->identity,
		.other_roots = control->other_roots,
		.lists = control->lists,
		.page_trouble = &control->page_trouble,
		.metrics = metrics_shard(control->metrics, 0),
		.leaf_ttl_s = (int64_t)(config->leaf_ttl_ms / 1000),
		.publish_s =
			config->federation.port == 0 ? 0 : (int64_t)(config->federation.refresh_hint_ms / 1000) * 2,
		.forget_after_s = (int64_t)(config->forget_after_ms / 1000),
		.report_each_s = config->page.token_file == NULL ? 0 : PAGE_REPORT_EACH_S,
		.attest_per_second = (uint32_t)config->attest_per_second,
		.max_connections = (uint32_t)config->max_connections,
		.max_handshakes = (uint32_t)config->max_handshakes,
		.key_exchanges = config->key_exchanges,
		.release = control->release,
		.settings = &control->in_force,
		.authorities = authorities,
		.num_authorities = 3,
		.streams_fd = TAKE_FD(control->streams_fd),
		.streams_unix_fd = TAKE_FD(control->streams_unix_fd),
		.operator_fd = TAKE_FD(control->operator_fd),
		.operator_port_fd = TAKE_FD(control->operator_port_fd),
		.tcp_table_fd = TAKE_FD(control->tcp_table_fd)};
	CHECK(control->serve == NULL && options.streams_fd >= 0 && options.operator_fd >= 0);
	control->serve = serve_new(&options);
	control_page_start(control);
	log_notice("control", "ready: streams on port %u, metrics on port %u, operators at %s", config->streams_port,
		config->metrics_port, config->operator_socket);
}

static void on_trust_changed(void *arg)
{
	struct control *control = arg;
	if (control->serve == NULL && (control->is_draining || control->failure != ERR_NONE))
		return;              /* it ends before it has served, and the ports are closed */
	control_note_store(control); /* from now on a store without this ban is refused */
	if (control->federation == NULL)
		control_start_federation(control);
	bool is_first = control->serve == NULL;
	if (is_first)
		open_listeners(control);
	serve_trust_changed(control->serve);
	federation_trust_changed(control->federation, trust_bundles(control->trust));
	if (is_first)
		service_manager_ready();
	if (control->must_reload)
		control_reload(control);
}

static enum err other_roots_open(struct control *control, struct why *why)
{
	const char *path = control->config->other_roots_file;
	if (path == NULL)
		return ERR_NONE;
	return other_roots_new(path, &control->config->trust_domain, &control->other_roots, why);
}

static void start_services(struct control *control)
{
	CHECK(control->registry == NULL && control->trust == NULL && control->serve == NULL);
	const struct registry_observer observer = {on_answers_changed, on_address_freed, control};
	struct why why = {0};
	control->attest = attest_new(control->loop, control->store, &control->config->trust_domain);
	attest_set_entries(control->attest, control->config->workload_entries, control->config->num_workload_entries);
	(void)!attest_set_x509(/* logged: machines are refused until the files are good */
		control->attest, control->first_config->x509_roots, control->first_config->x509_crl);
	control->registry = registry_new(control->loop, control->store, control->config, &observer);
	if (!control_has_file(control))
		registry_share(control->registry);
	control->distributor = distributor_new(control->loop, control->registry, control->config);
	control_review_policy(control);
	control_start_plane(control);
	if (control->config->num_crl_files > 0)
		control->lists = crl_files_new(
			control->config->crl_files, control->config->num_crl_files, &control->config->trust_domain);
	const struct trust_options options = {.loop = control->loop,
		.lists = control->lists,
		.store = control->store,
		.domain = &control->config->trust_domain,
		.roots = rotation_roots(control->rotation),
		.pins = bootstrap_pins(control->bootstrap),
		.on_change = on_trust_changed,
		.arg = control};
	enum err err = trust_new(&options, &control->trust, &why);
	if (err != ERR_NONE)
		control_fail(control, err, "the mesh's root cannot be used", &why);
	else if ((err = other_roots_open(control, &why)) != ERR_NONE)
		control_fail(control, err, "identity.other_roots_file cannot be used", &why);
}

static void on_identity(void *arg, enum err err, const struct why *why)
{
	struct control *control = arg;
	if (err != ERR_NONE)
		control_fail(control, err, "no server certificate", why);
	else
		start_services(control);
}

static void on_rotation_ready(void *arg, enum err err, const struct why *why)
{
	struct control *control = arg;
	CHECK(control->identity == NULL);
	if (err != ERR_NONE)
		control_fail(control, err, "the signer does not have the mesh's root", why);
	else
		control->identity = server_identity_new(control->loop, control->issuer, on_identity, control);
}

static void on_roots(void *arg)
{
	const struct control *control = arg;
	if (control->trust != NULL)
		trust_roots_changed(control->trust);
}

static void on_active_root(void *arg, const struct issued *authorities)
{
	struct control *control = arg;
	struct why why = {0};
	if (control_keep_authorities(control, authorities, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "control", "the signer's authorities are not those of the store", &why);
	if (control->serve != NULL)
		serve_root_replaced(control->serve, authorities);
	if (control->federation != NULL)
		federation_root_replaced(control->federation);
}

static void start_rotation(struct control *control)
{
	const struct control_config *config = control->config;
	uint64_t before_ms = config->root_rotate_before_ms;
	if (before_ms > config->root_ttl_ms / 3)
		before_ms = config->root_ttl_ms / 3;
	const struct rotation_options options = {.loop = control->loop,
		.rotate_before_s = (int64_t)(before_ms / 1000),
		.store = control->store,
		.issuer = control->issuer,
		.root = buf_span(&control->authorities[1]),
		.on_ready = on_rotation_ready,
		.on_roots = on_roots,
		.on_active = on_active_root,
		.arg = control};
	CHECK(control->rotation == NULL);
	control->rotation = rotation_new(&options);
}

static void on_bootstrap_ready(void *arg, enum err err, const struct why *why)
{
	struct control *control = arg;
	if (err != ERR_NONE)
		control_fail(control, err, "the signer does not have the mesh's bootstrap root", why);
	else
		start_rotation(control);
}

static void on_pins(void *arg)
{
	const struct control *control = arg;
	if (control->trust != NULL)
		trust_pins_changed(control->trust);
}

static void on_active_bootstrap(void *arg, const struct issued *authorities)
{
	struct control *control = arg;
	struct why why = {0};
	if (control_keep_authorities(control, authorities, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "control", "the signer's authorities are not those of the store", &why);
	if (control->serve != NULL)
		serve_bootstrap_replaced(control->serve, authorities);
	if (control->plane != NULL)
		control_note_bootstrap(control);
}

static void on_fenced(struct control *control)
{
	const struct bootstrap_options options = {.loop = control->loop,
		.rotate_before_s = BOOTSTRAP_ROTATE_BEFORE_S,
		.store = control->store,
		.issuer = control->issuer,
		.first = buf_span(&control->authorities[0]),
		.on_ready = on_bootstrap_ready,
		.on_pins = on_pins,
		.on_active = on_active_bootstrap,
		.arg = control};
	CHECK(control->bootstrap == NULL);
	control->bootstrap = bootstrap_new(&options);
}

void control_start(struct control *control)
{
	const struct pages_options pages = {.loop = control->loop,
		.listening_fd = TAKE_FD(control->metrics_fd),
		.metrics = control->metrics,
		.list_obstacles = list_obstacles,
		.list_conditions = list_conditions,
		.on_scrape = on_scrape,
		.put_rows = put_rows,
		.arg = control};
	control->pages = pages_new(&pages);
	control_fence(control, on_fenced);
}
