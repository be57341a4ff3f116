/* The processes that are started before this one restricts itself: the signer, and those of an authority of the
 * operator's. */
#include "base/net/fd.h"
#include "control/control_private.h"
#include "control/pkcs11/token_start.h"

enum err control_start_signer(struct control *control, enum key_policy policy, void (*on_lost)(void *arg, enum err err),
	void *arg, struct why *why)
{
	const struct control_config *config = control->config;
	const struct issuer_options options = {.loop = control->loop,
		.key_folder = control->state.key_folder,
		.trust_domain = &config->trust_domain,
		.max_leaf_ttl_s = 7 * 86400, /* the maximum of the setting: a reload may raise it */
		.intermediate_life_s = (int64_t)(config->intermediate_ttl_ms / 1000),
		.root_life_s = (int64_t)(config->root_ttl_ms / 1000),
		.policy = policy,
		.own = {config->ca.certificate, config->ca.key, config->ca.root, control->token_fd},
		.on_lost = on_lost,
		.arg = arg};
	return issuer_start(&options, &control->issuer, why);
}

/* Before this process restricts itself: what it starts then would be restricted, too. */
static enum err start_ca_command(struct control *control, struct why *why)
{
	const struct config_ca *ca = &control->config->ca;
	const struct ca_command_options options = {.loop = control->loop,
		.key_folder = control->state.key_folder,
		.words = ca->command,
		.num_words = ca->num_words,
		.timeout_ms = ca->timeout_ms};
	return ca->source == CA_SOURCE_COMMAND ? ca_command_start(&options, &control->ca_command, why) : ERR_NONE;
}

static enum err start_token(struct control *control, struct why *why)
{
	const struct config_ca *ca = &control->config->ca;
	const struct token_start_options options = {.program = ca->pkcs11.program,
		.key_folder = control->state.key_folder,
		.module = ca->pkcs11.module,
		.token = ca->pkcs11.token,
		.key = ca->pkcs11.key,
		.pin_file = ca->pkcs11.pin_file};
	if (ca->source != CA_SOURCE_PKCS11)
		return ERR_NONE;
	return token_start(&options, &control->token_fd, &control->token_child, why);
}

/* The signer, and what only it may reach: its end of that socket is not kept here. */
enum err control_start_children(struct control *control, void (*on_lost)(void *arg, enum err err), struct why *why)
{
	RETURN_IF_ERR(start_token(control, why));
	enum err err = control_start_signer(control, control_key_policy(control), on_lost, control, why);
	if (control->token_fd > 0)
		fd_close(control->token_fd);
	control->token_fd = 0;
	RETURN_IF_ERR(err);
	return start_ca_command(control, why);
}
