/* Settings: read at the start, and again at SIGHUP. A file with mistakes changes nothing. */
#include "base/core/log.h"
#include "control/control_private.h"
#include <string.h>

/* Flags that are not settings are main's; they were checked at the start. */
static void read_flags(struct settings *settings, const struct control_source *source)
{
	for (int i = 1; i < source->argc;) {
		int before = i;
		if (!settings_read_flag(settings, control_config_keys, source->argc, source->argv, &i) && i == before)
			i += strcmp(source->argv[i], "--config") == 0 ? 2 : 1;
	}
}

enum err control_read_settings(const struct control_source *source, struct control_config **out)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new("HANDFAST_CONTROL");
	if (source->path != NULL)
		settings_read_file(settings, source->path);
	settings_read_environment(settings, control_config_keys, source->environment);
	read_flags(settings, source);
	log_lines(LOG_LEVEL_WARNING, "settings", settings_warnings(settings));
	enum err err = control_config_read(settings, out);
	if (err != ERR_NONE)
		log_lines(LOG_LEVEL_ERROR, "settings", settings_mistakes(settings));
	return err;
}

/* What only a restart can change: doors that are open, folders that are confined, keys that are made. */
static void name_what_needs_a_restart(const struct control_config *old, const struct control_config *fresh)
{
	if (strcmp(old->state_dir, fresh->state_dir) != 0 ||
		strcmp(old->operator_socket, fresh->operator_socket) != 0 || old->streams_port != fresh->streams_port ||
		old->metrics_port != fresh->metrics_port ||
		!trust_domain_eq(&old->trust_domain, &fresh->trust_domain) ||
		old->intermediate_ttl_ms != fresh->intermediate_ttl_ms || old->root_ttl_ms != fresh->root_ttl_ms ||
		old->attest_per_second != fresh->attest_per_second || old->max_handshakes != fresh->max_handshakes ||
		(fresh->max_connections != 0 && old->max_connections != fresh->max_connections))
		log_warning("control", "trust_domain, state_dir, operator_socket, listen.*, identity.intermediate_ttl, "
				       "identity.root_ttl,"
				       " identity.attest_per_second and limits.* change with the next start only");
}

void control_reload(struct control *control)
{
	struct control_config *fresh;
	if (control->serve == NULL)
		return;
	if (control_read_settings(control->source, &fresh) != ERR_NONE) {
		metric_add(metrics_shard(control->metrics, 0), CONTROL_RELOADS_REFUSED, 1);
		log_error("control", "the settings have mistakes; the old ones stay");
		return;
	}
	struct control_config *old = control->config;
	name_what_needs_a_restart(old, fresh);
	fresh->max_connections = old->max_connections;
	control->config = fresh;
	registry_set_config(control->registry, fresh);
	distributor_set_config(control->distributor, fresh);
	serve_set_leaf_ttl(control->serve, (int64_t)(fresh->leaf_ttl_ms / 1000));
	control_config_free(old);
	log_notice("control", "the settings were read again");
}
