/* JWT-SVIDs. Two keys per signer: the present one signs, the next one is published already, so that no sidecar meets a
 * token whose key it does not have. */
#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "certs/expiry.h"
#include "certs/web_key.h"
#include "control/issue/authority_private.h"

#define FILE_NOW  "jwt"
#define FILE_NEXT "jwt-next"

enum { CLAIMS_MAX = 4096, SPKI_MAX = 256 };

/* The key's carrier in its file is a self-signed certificate, which no one trusts: it has the time when it was made. */
static const struct ca_kind now_kind = {CERTIFICATE_ROOT, FILE_NOW, "JWT authority"};

static void key_done(struct jwt_key *key)
{
	key_pair_done(&key->pair);
	buf_done(&key->spki);
}

void authority_jwt_done(struct authority *authority)
{
	key_done(&authority->jwt);
	key_done(&authority->next_jwt);
}

static int64_t now_s(const struct authority *authority)
{
	return authority->options.clock->wall_ms(authority->options.clock) / 1000;
}

/* Loads or makes the key of that file, or makes another one. */
static enum err load(
	struct authority *authority, const char *file, bool is_another, struct jwt_key *out, struct why *why)
{
	_cleanup_(key_done) struct jwt_key key = {.spki = BUF_INIT(SPKI_MAX)};
	int64_t from, to;
	enum err err = is_another ? ERR_NOT_FOUND : key_folder_load(&authority->folder, file, &key.pair, why);
	if (err == ERR_NOT_FOUND) {
		RETURN_IF_ERR(authority_make_ca(authority, &now_kind, NULL, &key.pair, why));
		err = key_folder_save(&authority->folder, file, &key.pair, why);
	}
	RETURN_IF_ERR(err);
	RETURN_IF_ERR(certificate_validity(buf_span(&key.pair.certificate), &from, &to));
	key.made_s = from + ROOT_BACKDATE_S; /* as the certificate of a root has it */
	RETURN_IF_ERR(private_key_public(key.pair.key, &key.spki));
	key_done(out);
	*out = key;
	key = (struct jwt_key){0};
	return ERR_NONE;
}

/* The next key is stored as the present one before it is replaced: a crash between the two leaves the same key twice,
 * which the next call repairs. In memory both change at the end. */
static enum err change(struct authority *authority, bool is_same, struct why *why)
{
	_cleanup_(key_done) struct jwt_key fresh = {0};
	struct jwt_key *now = &authority->jwt, *next = &authority->next_jwt;
	if (!is_same)
		RETURN_IF_ERR(key_folder_save(&authority->folder, FILE_NOW, &next->pair, why));
	RETURN_IF_ERR(load(authority, FILE_NEXT, true, &fresh, why));
	key_done(is_same ? next : now);
	if (!is_same)
		*now = *next;
	*next = fresh;
	fresh = (struct jwt_key){0};
	return ERR_NONE;
}

/* A full disk must not stop the signer: the present key stays in use, and the next one is shown all the same. */
static void change_if_old(struct authority *authority)
{
	const struct jwt_key *now = &authority->jwt, *next = &authority->next_jwt;
	int64_t clock_s = now_s(authority);
	struct why why = {0};
	bool is_same = span_eq(buf_span(&now->spki), buf_span(&next->spki));
	if ((!is_same && clock_s - next->made_s < JWT_KEY_LIFE_S) || clock_s < authority->jwt_retry_s)
		return;
	if (change(authority, is_same, &why) == ERR_NONE)
		return;
	log_why(LOG_LEVEL_ERROR, "signer", "the next JWT key cannot be stored; the present one stays in use", &why);
	authority->jwt_retry_s = clock_s + AUTHORITY_RETRY_S;
}

enum err authority_jwt_keys(struct authority *authority, uint64_t epoch, struct why *why)
{
	RETURN_IF_ERR(authority_check_epoch(authority, epoch, why));
	if (authority->jwt.pair.key == NULL)
		RETURN_IF_ERR(load(authority, FILE_NOW, false, &authority->jwt, why));
	if (authority->next_jwt.pair.key == NULL)
		RETURN_IF_ERR(load(authority, FILE_NEXT, false, &authority->next_jwt, why));
	change_if_old(authority);
	return ERR_NONE;
}

/* --- a token --- */

static enum err refuse_audience(struct why *why)
{
	return why_set(why, ERR_MALFORMED, "1 to 8 audiences of 1 to 255 printable characters without quotation marks",
		"correct the audience of the request", "the audience of the token is malformed");
}

static bool is_audience(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '"' || text.ptr[i] == '\\')
			return false;
	return text.len > 0 && text.len <= JWT_AUDIENCE_MAX;
}

static enum err put_audiences(struct span lines, struct buf *out, struct why *why)
{
	for (unsigned num = 0;; num++) {
		const uint8_t *end = lines.len == 0 ? NULL : memchr(lines.ptr, '\n', lines.len);
		struct span one = end == NULL ? lines : span_of(lines.ptr, (size_t)(end - lines.ptr));
		if (num == JWT_AUDIENCES_MAX || !is_audience(one))
			return refuse_audience(why);
		RETURN_IF_ERR(buf_printf(out, "%s\"%.*s\"", num == 0 ? "" : ",", (int)one.len, (const char *)one.ptr));
		if (end == NULL)
			return ERR_NONE;
		lines = span_from(lines, one.len + 1);
	}
}

/* A SPIFFE ID needs no escapes in JSON: its characters are few. */
static enum err put_claims(
	const struct authority *authority, const struct jwt_request *request, struct buf *out, struct why *why)
{
	int64_t now = now_s(authority);
	RETURN_IF_ERR(buf_append_str(out, "{\"aud\":["));
	RETURN_IF_ERR(put_audiences(request->audience, out, why));
	return buf_printf(out, "],\"exp\":%lld,\"iat\":%lld,\"sub\":\"%.*s\"}", (long long)now + JWT_TTL_S,
		(long long)now, (int)request->id.len, (const char *)request->id.ptr);
}

static enum err put_header(const struct authority *authority, struct buf *out)
{
	char kid[WEB_KEY_ID_LEN + 1];
	web_key_id_of_spki(buf_span(&authority->jwt.spki), kid);
	return buf_printf(out, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
}

/* RFC 7515 3.1: header and claims, the bytes that are signed. */
static enum err put_input(
	const struct authority *authority, const struct jwt_request *request, struct buf *out, struct why *why)
{
	_cleanup_(buf_done) struct buf header = BUF_INIT(CLAIMS_MAX), claims = BUF_INIT(CLAIMS_MAX);
	RETURN_IF_ERR(put_header(authority, &header));
	RETURN_IF_ERR(put_claims(authority, request, &claims, why));
	RETURN_IF_ERR(base64url_encode(buf_span(&header), out));
	RETURN_IF_ERR(buf_append_str(out, "."));
	return base64url_encode(buf_span(&claims), out);
}

enum err authority_sign_jwt(
	struct authority *authority, const struct jwt_request *request, struct buf *out_token, struct why *why)
{
	uint8_t signature[PRIVATE_KEY_ES256_LEN];
	RETURN_IF_ERR(authority_jwt_keys(authority, request->epoch, why));
	RETURN_IF_ERR(authority_check_id(authority, request->id, why));
	RETURN_IF_ERR(put_input(authority, request, out_token, why));
	RETURN_IF_ERR(private_key_sign_es256(authority->jwt.pair.key, buf_span(out_token), signature));
	RETURN_IF_ERR(buf_append_str(out_token, "."));
	return base64url_encode(span_of(signature, sizeof(signature)), out_token);
}
