/* What is kept for a restart without a control plane (decision 074): written after each change, before the change is in
 * use; read at the start, and used only while no control plane can be reached. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/identity/identity_client_private.h"
#include "sidecar/identity/kept_file.h"

#define COMPONENT "identity"

enum { OTHERS_MAX = 512 * 1024 }; /* bytes, besides the trust state: SVID, key, retained bans */

/* --- write --- */

static void read_boot_id(char out[BOOT_ID_MAX])
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(BOOT_ID_MAX - 1);
	if (fd_read_file("/proc/sys/kernel/random/boot_id", BOOT_ID_MAX - 1, &text, NULL) == ERR_NONE)
		memcpy(out, buf_span(&text).ptr, buf_len(&text));
}

static enum err encode(struct identity_client *client, struct credentials *of, struct buf *out)
{
	const struct clock *clock = loop_clock(client->options.loop);
	struct kept_identity kept = {
		.before = state_folder_get(client->options.state)->epoch,
		.not_after_s = credentials_until_s(of),
		.time_ms = trusted_time_authenticated_s(&client->time, clock) * 1000,
		.boot_ms = clock->boot_ms(clock),
		.svid = client->options.keeps_svid ? credentials_svid(of) : NULL,
		.key = client->options.keeps_svid ? credentials_key(of) : NULL,
		.trust = {.encoded = client->trust_encoded},
		.retained = client->retained_bans,
	};
	read_boot_id(kept.boot_id);
	spiffe_id_copy(credentials_id(of), &kept.id);
	enum err err = kept_identity_encode(&kept, out);
	spiffe_id_done(&kept.id);
	return err;
}

static void write_now(struct identity_client *client, struct credentials *of)
{
	/* With the key. Its memory grows as the content needs it: what is overwritten at the end stays resident. */
	_cleanup_(buf_done) struct buf content = BUF_INIT_SECRET(buf_len(&client->trust_encoded) + OTHERS_MAX);
	/* Empty where it cannot be encoded: the file is removed. */
	if (buf_len(&client->trust_encoded) == 0 || encode(client, of, &content) != ERR_NONE)
		buf_clear(&content);
	kept_write(&client->identity_file, buf_span(&content), identity_now(client).mono_ms);
}

void identity_keep(struct identity_client *client, struct credentials *fresh, struct trust *trust)
{
	if (trust != NULL) {
		buf_done(&client->trust_encoded);
		client->trust_encoded = trust->encoded;
		trust->encoded = BUF_INIT(0);
	}
	kept_identity_done(&client->earlier);
	if (client->options.on_outage == NULL)
		return;
	/* A trust state that only adds is none to go on with either: check_fence() refuses the file of before. */
	if (kept_changed(&client->identity_file, trust != NULL ? KEPT_IS_WRONG : KEPT_IS_OLDER,
		    identity_now(client).mono_ms))
		write_now(client, fresh);
}

void identity_kept_poll(struct identity_client *client)
{
	if (client->credentials != NULL && kept_is_due(&client->identity_file, identity_now(client).mono_ms))
		write_now(client, client->credentials);
}

void identity_kept_flush(struct identity_client *client)
{
	if (client->credentials != NULL && client->identity_file.is_due)
		write_now(client, client->credentials);
}

void identity_client_keep_now(struct identity_client *client)
{
	identity_kept_flush(client);
}

void identity_kept_withdraw(struct identity_client *client)
{
	client->is_kept_tried = true; /* its bans stay: a restored control plane may lack them */
	client->is_earlier_good = false;
	if (client->options.on_outage != NULL) /* empty: removed */
		kept_write(&client->identity_file, (struct span){0}, identity_now(client).mono_ms);
}

/* --- read --- */

static enum err refuse(struct why *why, enum err err, const char *expected, const char *got)
{
	return why_set(why, err, expected, "none: it is written again as soon as there is a control plane", "%s", got);
}

/* C13. It is written before the epoch in `enrolled`: so its own is that one or a newer one, or `enrolled` is still as
 * it was when this was written. */
static enum err check_fence(const struct identity_client *client, const struct kept_identity *kept, struct why *why)
{
	const struct epoch *stored = &state_folder_get(client->options.state)->epoch;
	const struct epoch *own = &kept->trust.epoch;
	if ((own->incarnation == stored->incarnation && own->counter >= stored->counter) ||
		epoch_eq(&kept->before, stored))
		return ERR_NONE;
	return refuse(why, ERR_CONFLICT, "the newest trust state of this sidecar",
		"the kept trust state is older than one that this sidecar has had");
}

/* The operator's token is newer than the identity, which may be another one. */
static enum err check_token(const struct identity_client *client, struct why *why)
{
	const struct enrolled_state *state = state_folder_get(client->options.state);
	_cleanup_(token_done) struct token token = {0};
	uint8_t hash[DIGEST_LEN];
	if (client->options.kubernetes_token_file != NULL || client->options.token_file == NULL ||
		token_read(client->options.token_file, &token, NULL) != ERR_NONE)
		return ERR_NONE;
	digest_sha256(buf_span(&token.id), hash);
	if (state->has_consumed_token && memcmp(hash, state->consumed_token, DIGEST_LEN) == 0)
		return ERR_NONE;
	return refuse(why, ERR_CONFLICT, "the join token that the kept identity came by",
		"a new join token is there (`handfast token create`), so the kept identity is not used");
}

static enum err load(struct identity_client *client, struct kept_identity *out, struct why *why)
{
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(KEPT_FILE_MAX);
	RETURN_IF_ERR(state_folder_kept(client->options.state, KEPT_IDENTITY, &content, why));
	RETURN_IF_ERR(kept_identity_parse(buf_span(&content), &client->options.trust_domain, out, why));
	RETURN_IF_ERR(check_fence(client, out, why));
	return check_token(client, why);
}

void identity_kept_load(struct identity_client *client)
{
	struct why why = {0};
	kept_init(&client->identity_file, client->options.state, KEPT_IDENTITY, KEPT_URGENT_PAUSE_MS);
	if (client->options.on_outage == NULL)
		return;
	enum err err = load(client, &client->earlier, &why);
	if (err == ERR_NONE) {
		identity_set_retained(client, bundle_set_ref(client->earlier.retained));
		return;
	}
	kept_identity_done(&client->earlier);
	if (err != ERR_NOT_FOUND)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "the identity from before the restart is not used", &why);
}

/* --- use --- */

/* The control plane's time, carried by the kernel's clock since it was written. After a reboot only the wall clock can
 * show how long ago that was; one that is behind is not believed. */
static enum err take_time(struct identity_client *client, struct why *why)
{
	const struct clock *clock = loop_clock(client->options.loop);
	const struct kept_identity *kept = &client->earlier;
	char boot_id[BOOT_ID_MAX] = "";
	uint64_t boot_ms = clock->boot_ms(clock);
	read_boot_id(boot_id);
	if (boot_id[0] != '\0' && strcmp(boot_id, kept->boot_id) == 0 && boot_ms >= kept->boot_ms) {
		trusted_time_anchor(&client->time, clock, kept->time_ms + (int64_t)(boot_ms - kept->boot_ms));
		client->options.on_time(client->options.arg, &client->time);
		return ERR_NONE;
	}
	if (clock->wall_ms(clock) >= kept->time_ms)
		return ERR_NONE;
	return refuse(why, ERR_CONFLICT, "a clock that is right",
		"this host's clock is before the time when the identity was kept");
}

static enum err use(struct identity_client *client, struct why *why)
{
	struct kept_identity *kept = &client->earlier;
	struct credentials *fresh;
	RETURN_IF_ERR(take_time(client, why));
	int64_t now_s = identity_now(client).trusted_s;
	if (now_s >= kept->not_after_s)
		return refuse(why, ERR_EXPIRED, "an SVID that is still valid", "the kept identity has expired");
	client->is_earlier_good = true;
	if (kept->svid == NULL)
		return ERR_NONE;
	RETURN_IF_ERR(
		credentials_new(kept->svid, kept->key, kept->trust.bundles, kept->trust.epoch, now_s, &fresh, why));
	client->trust_encoded = kept->trust.encoded;
	kept->trust.encoded = BUF_INIT(0);
	const struct renew_now now = identity_now(client);
	renew_got_certificate(&client->renew, &now, credentials_until_s(fresh));
	identity_publish(client, fresh);
	return ERR_NONE;
}

static void try_to_use(struct identity_client *client)
{
	struct why why = {0};
	const struct kept_identity *kept = &client->earlier;
	if (client->credentials != NULL || kept->trust.bundles == NULL || client->is_kept_tried)
		return;
	client->is_kept_tried = true;
	if (use(client, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_NOTICE, COMPONENT, "the identity from before the restart is not used", &why);
		return;
	}
	log_warning(COMPONENT,
		"no control plane can be reached: continuing with %s of %s from before the restart, valid for %lld s",
		kept->svid != NULL ? "the SVID" : "what is known without an SVID", kept->id.text,
		(long long)(kept->not_after_s - identity_now(client).trusted_s));
}

void identity_kept_use(struct identity_client *client)
{
	if (client->options.on_outage == NULL)
		return;
	try_to_use(client);
	client->options.on_outage(client->options.arg);
}

const struct why *identity_client_kept_failure(const struct identity_client *client)
{
	return client->is_unstored ? &client->unstored_detail : &client->identity_file.failure;
}

const struct spiffe_id *identity_client_kept_id(const struct identity_client *client)
{
	const struct kept_identity *kept = &client->earlier;
	return client->is_earlier_good && identity_now(client).trusted_s < kept->not_after_s ? &kept->id : NULL;
}
