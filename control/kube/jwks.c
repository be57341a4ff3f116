#include "control/kube/jwks.h"
#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <jansson.h>

#define EXPECTED "a JSON web key set with keys that sign service account tokens"
#define FIX      "inspect /openid/v1/jwks of the API server"

struct jwks_key {
	char *kid;
	struct web_key *key;
};

void jwks_done(struct jwks *jwks)
{
	for (size_t i = 0; i < jwks->num; i++) {
		mem_free(jwks->keys[i].kid);
		web_key_free(jwks->keys[i].key);
	}
	mem_free(jwks->keys);
	*jwks = (struct jwks){0};
}

static const struct jwks_key *find(const struct jwks *jwks, const char *kid)
{
	for (size_t i = 0; i < jwks->num; i++)
		if (strcmp(jwks->keys[i].kid, kid) == 0)
			return &jwks->keys[i];
	return NULL;
}

bool jwks_has(const struct jwks *jwks, const char *kid)
{
	return find(jwks, kid) != NULL;
}

static bool has_value(const json_t *object, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text != NULL && strcmp(text, value) == 0;
}

/* A member that may be missing. */
static bool may_have_value(const json_t *object, const char *name, const char *value)
{
	return json_object_get(object, name) == NULL || has_value(object, name, value);
}

static bool read_number(const json_t *row, const char *name, struct buf *out)
{
	const json_t *text = json_object_get(row, name);
	return json_is_string(text) &&
	       base64url_decode(span_of(json_string_value(text), json_string_length(text)), out) == ERR_NONE;
}

static struct web_key *read_key(const json_t *row)
{
	_cleanup_(buf_done) struct buf first = BUF_INIT(WEB_KEY_SIGNATURE_MAX + 1), second = BUF_INIT(64);
	struct web_key *key = NULL;
	enum err err = ERR_UNSUPPORTED;
	if (!may_have_value(row, "use", "sig"))
		return NULL;
	if (has_value(row, "kty", "RSA") && may_have_value(row, "alg", "RS256") && read_number(row, "n", &first) &&
		read_number(row, "e", &second))
		err = web_key_from_rsa(buf_span(&first), buf_span(&second), &key, NULL);
	else if (has_value(row, "kty", "EC") && has_value(row, "crv", "P-256") && may_have_value(row, "alg", "ES256") &&
		 read_number(row, "x", &first) && read_number(row, "y", &second))
		err = web_key_from_p256(buf_span(&first), buf_span(&second), &key, NULL);
	CHECK((err == ERR_NONE) == (key != NULL));
	return key;
}

static enum err read_row(const json_t *row, struct jwks *jwks, struct why *why)
{
	const json_t *kid = json_object_get(row, "kid");
	if (!json_is_string(kid) || json_string_length(kid) == 0 || json_string_length(kid) > JWT_KID_MAX)
		return ERR_NONE; /* no token can name it */
	if (jwks_has(jwks, json_string_value(kid)))
		return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "the key set names a key twice: %.64s",
			json_string_value(kid));
	struct web_key *key = read_key(row);
	if (key != NULL)
		jwks->keys[jwks->num++] = (struct jwks_key){mem_strdup(json_string_value(kid)), key};
	return ERR_NONE;
}

static enum err read_set(const json_t *set, struct jwks *jwks, struct why *why)
{
	const json_t *rows = json_object_get(set, "keys");
	size_t num = json_array_size(rows);
	if (!json_is_array(rows))
		return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "the key set is not a JSON object with keys");
	if (num > JWKS_KEYS_MAX)
		return why_set(why, ERR_TOO_LARGE, EXPECTED, FIX, "the key set has %zu keys, more than %d", num,
			JWKS_KEYS_MAX);
	jwks->keys = mem_calloc(num + 1, sizeof *jwks->keys);
	for (size_t i = 0; i < num; i++)
		RETURN_IF_ERR(read_row(json_array_get(rows, i), jwks, why));
	if (jwks->num == 0)
		return why_set(why, ERR_NOT_FOUND, EXPECTED, FIX,
			"none of the %zu keys in the key set is an RSA or P-256 key for signatures", num);
	return ERR_NONE;
}

enum err jwks_parse(struct span json, struct jwks *out, struct why *why)
{
	_cleanup_(jwks_done) struct jwks jwks = {0};
	if (json.len > JWKS_MAX)
		return why_set(why, ERR_TOO_LARGE, EXPECTED, FIX, "the key set has %zu bytes", json.len);
	json_t *set = json_loadb((const char *)json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
	enum err err = read_set(set, &jwks, why);
	json_decref(set);
	RETURN_IF_ERR(err);
	*out = jwks;
	jwks = (struct jwks){0};
	return ERR_NONE;
}

enum err jwks_verify(const struct jwks *jwks, const struct jwt *jwt, struct why *why)
{
	const struct jwks_key *key = find(jwks, jwt->kid);
	if (key == NULL)
		return why_set(why, ERR_NOT_FOUND, "a token signed by a key that the API server publishes",
			"try again when the API server is there: its keys may have changed",
			"the token's key %.64s is unknown", jwt->kid);
	/* The key decides: a token never chooses how its signature is checked (RFC 8725 3.1). */
	if (web_key_signature(key->key) != jwt->alg)
		return why_set(why, ERR_DENIED, "a token signed by its key's own algorithm",
			"find out who made this token: this looks like an attack",
			"the token names another algorithm than its key has");
	return web_key_verify(key->key, jwt->signed_part, buf_span(&jwt->signature), why);
}

enum err jwks_issuer_parse(struct span json, char **out_issuer, struct why *why)
{
	json_t *document = json_loadb((const char *)json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *issuer = json_object_get(document, "issuer");
	bool is_good = json_is_string(issuer) && json_string_length(issuer) > 0;
	if (is_good)
		*out_issuer = mem_strdup(json_string_value(issuer));
	json_decref(document);
	if (!is_good)
		return why_set(why, ERR_MALFORMED, "a JSON object with an issuer",
			"inspect /.well-known/openid-configuration of the API server",
			"the API server's discovery document names no issuer");
	return ERR_NONE;
}
