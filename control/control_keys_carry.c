/* handfast-control keys export and keys import: the keys of bootstrap root and root in one file, sealed by a
 * passphrase, for each further control plane with the same store. The intermediate and the mark of the store are not
 * among them: they belong to one control plane. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/control_private.h"
#include "control/issue/authority.h"
#include "control/issue/passphrase.h"
#include <unistd.h>

#define KEY_FILE_MAX 16384
#define SEALED_MAX   (4 * KEY_FILE_MAX)

static const char *const kept[] = {"bootstrap.pem", "root.pem"};
enum { NUM_KEPT = sizeof kept / sizeof kept[0] };

/* One trailing line end is not part of it. */
enum err control_read_passphrase(const char *path, struct buf *out, struct span *out_text, struct why *why)
{
	RETURN_IF_ERR(fd_read_private_file(path, PASSPHRASE_MAX + 1, out, why));
	struct span text = buf_span(out);
	if (text.len > 0 && text.ptr[text.len - 1] == '\n')
		text.len--;
	*out_text = text;
	return ERR_NONE;
}

static char *path_of(const struct state_folder *state, size_t i)
{
	return mem_printf("%s/%s", state->key_folder, kept[i]);
}

enum err control_keys_export(const struct control_config *config, const struct keys_file *file, struct why *why)
{
	_cleanup_(state_folder_done) struct state_folder state = {0};
	_cleanup_(buf_wipe) struct buf passphrase = BUF_INIT(PASSPHRASE_MAX + 1);
	_cleanup_(buf_wipe) struct buf secret = BUF_INIT(NUM_KEPT * (KEY_FILE_MAX + 1));
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(SEALED_MAX);
	struct span text = {0};
	RETURN_IF_ERR(control_read_passphrase(file->passphrase_file, &passphrase, &text, why));
	RETURN_IF_ERR(state_folder_open(config->state_dir, &state, why));
	for (size_t i = 0; i < NUM_KEPT; i++) {
		_cleanup_(mem_freep) char *path = path_of(&state, i);
		_cleanup_(buf_wipe) struct buf content = BUF_INIT(KEY_FILE_MAX);
		RETURN_IF_ERR(fd_read_file(path, KEY_FILE_MAX, &content, why));
		RETURN_IF_ERR(buf_append(&secret, buf_span(&content)));
		RETURN_IF_ERR(buf_append(&secret, span_of("", 1))); /* PEM has no NUL */
	}
	RETURN_IF_ERR(passphrase_seal(PASSPHRASE_KEYS, text, buf_span(&secret), &sealed, why));
	RETURN_IF_ERR(fd_write_file(file->path, buf_span(&sealed), 0600, why));
	log_notice("audit", "exported the keys of bootstrap root and root to %s", file->path);
	return ERR_NONE;
}

/* --- import --- */

static enum err check_folder(const struct state_folder *state, struct why *why)
{
	for (size_t i = 0; i < NUM_KEPT; i++) {
		_cleanup_(mem_freep) char *path = path_of(state, i);
		if (access(path, F_OK) == 0)
			return why_set(why, ERR_EXISTS, "a key folder without keys",
				"if this control plane made them at a first start of its own: move that folder away",
				"%s is there already; nothing was overwritten", path);
	}
	return ERR_NONE;
}

static void remove_imported(const struct state_folder *state)
{
	_cleanup_(mem_freep) char *intermediate = mem_printf("%s/intermediate.pem", state->key_folder);
	unlink(intermediate);
	for (size_t i = 0; i < NUM_KEPT; i++) {
		_cleanup_(mem_freep) char *path = path_of(state, i);
		unlink(path);
	}
}

static enum err write_keys(const struct state_folder *state, struct span secret, struct why *why)
{
	for (size_t i = 0; i < NUM_KEPT; i++) {
		_cleanup_(mem_freep) char *path = path_of(state, i);
		const uint8_t *end = secret.len == 0 ? NULL : memchr(secret.ptr, 0, secret.len);
		if (end == NULL)
			return why_set(why, ERR_MALFORMED, "bootstrap root and root", "export the keys again",
				"the file has no key of %s", kept[i]);
		size_t len = (size_t)(end - secret.ptr);
		RETURN_IF_ERR(fd_write_file(path, span_of(secret.ptr, len), 0600, why));
		secret = span_from(secret, len + 1);
	}
	return ERR_NONE;
}

/* Whether they are keys of this trust domain; makes an intermediate. */
static enum err try_keys(const struct control_config *config, const struct state_folder *state, struct why *why)
{
	struct authority authority;
	const struct authority_options options = {.policy = KEYS_MUST_EXIST,
		.folder = state->key_folder,
		.trust_domain = config->trust_domain,
		.max_leaf_ttl_s = 7 * 86400,
		.intermediate_life_s = (int64_t)(config->intermediate_ttl_ms / 1000),
		.root_life_s = (int64_t)(config->root_ttl_ms / 1000),
		.clock = &clock_system};
	RETURN_IF_ERR(authority_open(&authority, &options, why));
	authority_done(&authority);
	return ERR_NONE;
}

enum err control_keys_import(const struct control_config *config, const struct keys_file *file, struct why *why)
{
	_cleanup_(state_folder_done) struct state_folder state = {0};
	_cleanup_(buf_wipe) struct buf passphrase = BUF_INIT(PASSPHRASE_MAX + 1);
	_cleanup_(buf_wipe) struct buf secret = BUF_INIT(SEALED_MAX);
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(SEALED_MAX);
	struct span text = {0};
	RETURN_IF_ERR(control_read_passphrase(file->passphrase_file, &passphrase, &text, why));
	RETURN_IF_ERR(fd_read_file(file->path, SEALED_MAX, &sealed, why));
	RETURN_IF_ERR(passphrase_open(PASSPHRASE_KEYS, text, buf_span(&sealed), &secret, why));
	RETURN_IF_ERR(state_folder_open(config->state_dir, &state, why));
	RETURN_IF_ERR(folder_make(state.key_folder, 0700, why));
	RETURN_IF_ERR(check_folder(&state, why));
	enum err err = write_keys(&state, buf_span(&secret), why);
	if (err == ERR_NONE)
		err = try_keys(config, &state, why);
	if (err != ERR_NONE)
		remove_imported(&state);
	else
		log_notice("audit", "imported the keys of bootstrap root and root from %s", file->path);
	return err;
}
