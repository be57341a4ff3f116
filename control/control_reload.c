/* Settings: read at the start, and again at SIGHUP. A file with errors changes nothing. */
#include "base/core/log.h"
#include "base/net/service_manager.h"
#include "base/settings/command_line/program_settings.h"
#include "base/settings/settings_reload.h"
#include "control/control_private.h"
#include "control/serve/policy_warnings.h"
#include <string.h>

enum { WARNINGS_LOGGED_MAX = 32 };

enum err control_read_settings(const struct control_source *source, struct buf *errors, struct control_config **out)
{
	_cleanup_(settings_freep) struct settings *settings = program_settings_read(source->line, source->environment);
	bool is_wrong = buf_len(errors) > 0;
	enum err err = control_config_read(settings, out);
	if (err != ERR_NONE)
		settings_errors_put(settings, errors);
	if (err != ERR_NONE || !is_wrong)
		return err;
	control_config_free(*out);
	return ERR_CONFIG;
}

static void on_warning(void *arg, const struct policy_warning *warning)
{
	size_t *num = arg;
	if ((*num)++ < WARNINGS_LOGGED_MAX)
		log_why(LOG_LEVEL_WARNING, "policy", warning->selector, &warning->detail);
}

void control_review_policy(struct control *control)
{
	size_t num = 0;
	policy_warnings_each(control->config, control->store, on_warning, &num);
	if (num > WARNINGS_LOGGED_MAX)
		log_warning("policy", "%zu further warnings; list all of them: `handfast policy lint`",
			num - WARNINGS_LOGGED_MAX);
	metric_set(metrics_shard(control->metrics, 0), CONTROL_POLICY_WARNINGS, (int64_t)num);
}

/* The parts borrow from the settings, so that those change as a whole: what needs a restart is not looked at any more.
 */
static void take_answers(void *program, void *fresh_config)
{
	struct control *control = program;
	struct control_config *fresh = fresh_config;
	fresh->max_connections = control->config->max_connections;
	control->config = fresh;
	attest_set_entries(control->attest, fresh->workload_entries, fresh->num_workload_entries);
	registry_set_config(control->registry, fresh);
	distributor_set_config(control->distributor, fresh);
	control_review_policy(control);
}

static void take_leaf_ttl(void *program, void *fresh_config)
{
	const struct control *control = program;
	const struct control_config *fresh = fresh_config;
	serve_set_leaf_ttl(control->serve, (int64_t)(fresh->leaf_ttl_ms / 1000));
}

static void take_log(void *program, void *fresh_config)
{
	(void)program;
	const struct control_config *fresh = fresh_config;
	log_set_level((enum log_level)fresh->log_level);
	log_set_json(fresh->log_json);
}

static void take_federation(void *program, void *fresh_config)
{
	const struct control *control = program;
	federation_set_partners(control->federation, fresh_config); /* it copies */
}

static settings_reload_apply_fn *const parts[NUM_CONTROL_RELOAD_PARTS] = {
	[RELOAD_ANSWERS] = take_answers,
	[RELOAD_LEAF_TTL] = take_leaf_ttl,
	[RELOAD_LOG] = take_log,
	[RELOAD_FEDERATION] = take_federation,
};

static void read_again(struct control *control)
{
	_cleanup_(buf_done) struct buf errors = BUF_INIT(CLI_ERRORS_MAX);
	struct control_config *fresh;
	if (control_read_settings(control->source, &errors, &fresh) != ERR_NONE) {
		settings_reload_roll_back("control", buf_cstr(&errors));
		metric_add(metrics_shard(control->metrics, 0), CONTROL_RELOADS_REFUSED, 1);
		return;
	}
	struct control_config *old = control->config;
	const struct settings_reload reload = {
		&control_settings, parts, NUM_CONTROL_RELOAD_PARTS, "control", control, fresh};
	settings_reload_commit(&reload, &control->in_force, fresh->record);
	if (control->config != fresh)
		control_config_free(fresh);
	else if (old != control->first_config) /* what a restart changes is borrowed from the first one */
		control_config_free(old);
}

void control_reload(struct control *control)
{
	control->must_reload = control->serve == NULL;
	if (control->must_reload)
		return; /* on_trust_changed() comes back to it */
	service_manager_reloading();
	if (control->ca_source != NULL)
		ca_source_poll(control->ca_source);
	read_again(control);
	service_manager_ready();
}
