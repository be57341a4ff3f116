/* SIGHUP: settings are read again. Identity and workers borrow the first settings' texts, so that only what may change
 * moves over from the fresh ones. */
#include "base/core/log.h"
#include "base/net/service_manager.h"
#include "base/settings/settings_reload.h"
#include "sidecar/sidecar_private.h"

static void take_minimum(void *program, void *fresh_config)
{
	struct sidecar *sidecar = program;
	struct sidecar_config *config = sidecar->config, *fresh = fresh_config;
	struct policy_port *ports = config->inbound_ports;
	config->inbound_mode = fresh->inbound_mode;
	config->inbound_ports = fresh->inbound_ports;
	config->num_inbound_ports = fresh->num_inbound_ports;
	fresh->inbound_ports = ports;
	sidecar_minimum_changed(sidecar);
}

static void take_drain(void *program, void *fresh_config)
{
	struct sidecar_config *config = ((struct sidecar *)program)->config;
	const struct sidecar_config *fresh = fresh_config;
	config->drain_ms = fresh->drain_ms;
	config->upgrade_ms = fresh->upgrade_ms;
	config->drain_minimum_ms = fresh->drain_minimum_ms;
}

static void take_log(void *program, void *fresh_config)
{
	const struct sidecar_config *fresh = fresh_config;
	(void)program;
	log_set_level((enum log_level)fresh->log_level);
	log_set_json(fresh->log_json);
}

static settings_reload_apply_fn *const parts[NUM_SIDECAR_RELOAD_PARTS] = {
	[RELOAD_MINIMUM] = take_minimum,
	[RELOAD_DRAIN] = take_drain,
	[RELOAD_LOG] = take_log,
};

static void read_again(struct sidecar *sidecar)
{
	struct sidecar_config *fresh = sidecar->options.on_reload(sidecar->options.arg);
	if (fresh == NULL)
		return;
	const struct settings_reload reload = {
		&sidecar_settings, parts, NUM_SIDECAR_RELOAD_PARTS, "sidecar", sidecar, fresh};
	settings_reload_commit(&reload, &sidecar->in_force, fresh->record);
	sidecar_config_free(fresh);
}

void sidecar_reload(struct sidecar *sidecar)
{
	if (sidecar->successor.has_modes) {
		log_notice("upgrade", "the settings are not read again: modes come from the process that serves");
		return;
	}
	if (sidecar_is_serving(sidecar))
		service_manager_reloading();
	read_again(sidecar);
	if (sidecar_is_serving(sidecar))
		service_manager_ready();
}
