#include "sidecar/workload_api/jwt_svid.h"

#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/json/jws.h"
#include "certs/web_key.h"

enum { HEADER_MAX = 2048, CLAIMS_MAX = JWT_SVID_MAX, KID_MAX = BUNDLE_KID_MAX + 1, AUDIENCES_MAX = 64 };

static enum err refuse(struct why *why, enum err err, const char *got)
{
	return why_set(why, err, "a JWT-SVID of a trusted trust domain, for this audience, that is valid now",
		"fetch another token, and compare its audience", "%s", got);
}

void jwt_svid_done(struct jwt_svid *svid)
{
	spiffe_id_done(&svid->id);
	json_decref(svid->claims);
	*svid = (struct jwt_svid){0};
}

/* --- header --- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text != NULL ? text : "";
}

/* JWT-SVID 2: alg and kid are needed; typ, if given, is JWT or JOSE; what crit names is not understood. */
static enum err check_header(const json_t *header, char out_kid[KID_MAX], struct why *why)
{
	const char *type = text_of(header, "typ"), *kid = text_of(header, "kid");
	if (header == NULL)
		return refuse(why, ERR_MALFORMED, "the token's header is not a JSON object");
	if (strcmp(text_of(header, "alg"), "ES256") != 0 || json_object_get(header, "crit") != NULL)
		return refuse(why, ERR_UNSUPPORTED, "the token is signed by another algorithm than ES256, or has crit");
	if (json_object_get(header, "typ") != NULL && strcmp(type, "JWT") != 0 && strcmp(type, "JOSE") != 0)
		return refuse(why, ERR_UNSUPPORTED, "the token is of another type than JWT");
	if (kid[0] == '\0' || strlen(kid) >= KID_MAX)
		return refuse(why, ERR_NOT_FOUND, "the token names no key of its trust domain");
	memcpy(out_kid, kid, strlen(kid) + 1);
	return ERR_NONE;
}

/* --- claims --- */

static bool is_for(const json_t *audiences, struct span audience)
{
	const json_t *one;
	size_t i;
	if (json_is_string(audiences))
		return span_eq(span_of(json_string_value(audiences), json_string_length(audiences)), audience);
	if (json_array_size(audiences) > AUDIENCES_MAX)
		return false;
	json_array_foreach(audiences, i, one)
	{
		if (json_is_string(one) && span_eq(span_of(json_string_value(one), json_string_length(one)), audience))
			return true;
	}
	return false;
}

/* RFC 7519 2: a NumericDate may have a fraction. What is there and no number counts as later. */
static bool is_later(const json_t *time, int64_t now_s)
{
	return time != NULL && (!json_is_number(time) || json_number_value(time) > (double)(now_s + JWT_SVID_LEEWAY_S));
}

static enum err check_times(const json_t *claims, int64_t now_s, struct why *why)
{
	const json_t *end = json_object_get(claims, "exp"), *begin = json_object_get(claims, "nbf"),
		     *issued = json_object_get(claims, "iat");
	if (!json_is_number(end))
		return refuse(why, ERR_MALFORMED, "the token has no exp, or it is not a number");
	if (json_number_value(end) <= (double)now_s)
		return refuse(why, ERR_EXPIRED, "the token has expired");
	if (is_later(begin, now_s) || is_later(issued, now_s))
		return refuse(why, ERR_NOT_YET_VALID, "the token is not valid yet");
	return ERR_NONE;
}

static enum err check_claims(struct jwt_svid *svid, struct span audience, int64_t now_s, struct why *why)
{
	if (svid->claims == NULL)
		return refuse(why, ERR_MALFORMED, "the token's claims are not a JSON object");
	const json_t *subject = json_object_get(svid->claims, "sub");
	RETURN_IF_ERR(
		spiffe_id_parse(span_of(json_string_value(subject), json_string_length(subject)), &svid->id, why));
	RETURN_IF_ERR(check_times(svid->claims, now_s, why));
	if (audience.len == 0 || !is_for(json_object_get(svid->claims, "aud"), audience))
		return refuse(why, ERR_DENIED, "the token is for another audience");
	return ERR_NONE;
}

/* --- keys --- */

static enum err find_key(
	const struct bundle_set *bundles, struct span domain, const char *kid, struct web_key **out, struct why *why)
{
	struct span x, y;
	if (bundle_set_find(bundles, domain) == NULL)
		return refuse(why, ERR_NO_BUNDLE, "the token is of a trust domain that is not trusted");
	for (size_t i = 0; i < bundle_set_num_jwt_keys(bundles, domain); i++) {
		if (strcmp(bundle_set_jwt_kid(bundles, domain, i), kid) != 0)
			continue;
		RETURN_IF_ERR(web_key_point_of_spki(bundle_set_jwt_key(bundles, domain, i), &x, &y, why));
		return web_key_from_p256(x, y, out, why);
	}
	return refuse(why, ERR_NOT_FOUND, "the token is signed by a key that its trust domain does not have");
}

/* --- public functions --- */

static enum err verify(const struct jws *parts, const char *kid, const struct jwt_svid *svid,
	const struct bundle_set *bundles, struct why *why)
{
	_cleanup_(buf_done) struct buf signature = BUF_INIT(WEB_KEY_SIGNATURE_MAX);
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	RETURN_IF_ERR(find_key(bundles, spiffe_id_trust_domain(&svid->id), kid, &key, why));
	if (base64url_decode(parts->signature, &signature) != ERR_NONE)
		return refuse(why, ERR_MALFORMED, "the token's signature is not base64url");
	RETURN_IF_ERR(web_key_verify(key, parts->signed_part, buf_span(&signature), why));
	if (bundle_set_is_banned(bundles, &svid->id))
		return refuse(why, ERR_REVOKED, "the token is of a banned identity");
	return ERR_NONE;
}

enum err jwt_svid_validate(struct span token, struct span audience, const struct bundle_set *bundles, int64_t now_s,
	struct jwt_svid *out, struct why *why)
{
	_cleanup_(jwt_svid_done) struct jwt_svid svid = {0};
	struct jws parts;
	char kid[KID_MAX];
	if (token.len > JWT_SVID_MAX)
		return refuse(why, ERR_TOO_LARGE, "the token has more than 8192 bytes");
	if (!jws_split(token, &parts))
		return refuse(why, ERR_MALFORMED, "the token does not have three parts with dots between them");
	json_t *header = jws_object(parts.header, HEADER_MAX);
	enum err err = check_header(header, kid, why);
	json_decref(header);
	RETURN_IF_ERR(err);
	svid.claims = jws_object(parts.payload, CLAIMS_MAX);
	RETURN_IF_ERR(check_claims(&svid, audience, now_s, why));
	RETURN_IF_ERR(verify(&parts, kid, &svid, bundles, why));
	*out = svid;
	svid = (struct jwt_svid){0};
	return ERR_NONE;
}

static enum err put_key(struct span spki, const char *kid, bool is_first, struct buf *out)
{
	_cleanup_(buf_done) struct buf x64 = BUF_INIT(KID_MAX), y64 = BUF_INIT(KID_MAX);
	struct span x, y;
	struct why why = {0};
	CHECK(web_key_point_of_spki(spki, &x, &y, &why) == ERR_NONE); /* bundle_set_add_jwt_key() checked it */
	RETURN_IF_ERR(base64url_encode(x, &x64));
	RETURN_IF_ERR(base64url_encode(y, &y64));
	return buf_printf(out,
		"%s{\"kty\":\"EC\",\"use\":\"jwt-svid\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"kid\":\"%s\",\"x\":\"%"
		"s\","
		"\"y\":\"%s\"}",
		is_first ? "" : ",", kid, buf_cstr(&x64), buf_cstr(&y64));
}

enum err jwt_svid_keys_encode(const struct bundle_set *bundles, struct span trust_domain, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "{\"keys\":["));
	for (size_t i = 0; i < bundle_set_num_jwt_keys(bundles, trust_domain); i++)
		RETURN_IF_ERR(put_key(bundle_set_jwt_key(bundles, trust_domain, i),
			bundle_set_jwt_kid(bundles, trust_domain, i), i == 0, out));
	return buf_append_str(out, "]}");
}
