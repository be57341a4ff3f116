/* Settings: read at the start, and again at SIGHUP. A file with mistakes changes nothing. */
#include "base/core/log.h"
#include "control/control_private.h"
#include <string.h>

enum err control_read_settings(const struct control_source *source, struct buf *mistakes, struct control_config **out)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(source->line->program->environment);
	if (source->path != NULL)
		settings_read_file(settings, source->path);
	settings_read_environment(settings, control_config_keys, source->environment);
	for (unsigned i = 0; i < source->line->num_values; i++)
		if (source->line->values[i].is_key)
			settings_read_flag(settings, source->line->values[i].name, source->line->values[i].text);
	log_lines(LOG_LEVEL_WARNING, "settings", settings_warnings(settings));
	bool is_wrong = buf_len(mistakes) > 0;
	enum err err = control_config_read(settings, out);
	if (err != ERR_NONE)
		return buf_append_str(mistakes, settings_mistakes(settings)) == ERR_NONE ? err : ERR_CONFIG;
	if (!is_wrong)
		return ERR_NONE;
	control_config_free(*out);
	return ERR_CONFIG;
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
	_cleanup_(buf_done) struct buf mistakes = BUF_INIT(CLI_MISTAKES_MAX);
	struct control_config *fresh;
	if (control->serve == NULL)
		return;
	if (control_read_settings(control->source, &mistakes, &fresh) != ERR_NONE) {
		log_lines(LOG_LEVEL_ERROR, "settings", buf_cstr(&mistakes));
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
