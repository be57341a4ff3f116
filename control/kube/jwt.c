#include "control/kube/jwt.h"
#include "base/core/base64url.h"
#include "base/json/jws.h"

#define EXPECTED "a service account token, as the kubelet mounts it"
#define FIX      "set identity.kubernetes_token_file to a projected token of the pod"

enum { HEADER_MAX = 1024, CLAIMS_MAX = 6144, TEXT_MAX = 1024 };

static enum err refuse(struct why *why, enum err err, const char *got)
{
	return why_set(why, err, EXPECTED, FIX, "%s", got);
}

static enum err malformed(struct why *why, const char *got)
{
	return refuse(why, ERR_MALFORMED, got);
}

void jwt_done(struct jwt *jwt)
{
	json_decref(jwt->claims);
	buf_done(&jwt->signature);
	*jwt = (struct jwt){0};
}

static const char *text_of(const json_t *object, const char *name, size_t max)
{
	const json_t *text = json_object_get(object, name);
	return json_is_string(text) && json_string_length(text) > 0 && json_string_length(text) <= max
		       ? json_string_value(text)
		       : NULL;
}

static enum err read_alg(const json_t *header, enum web_signature *out, struct why *why)
{
	const char *alg = text_of(header, "alg", 16);
	if (json_object_get(header, "crit") != NULL) /* RFC 7515 4.1.11: not understood, so refused */
		return refuse(why, ERR_UNSUPPORTED, "the token's header has crit");
	if (alg != NULL && strcmp(alg, "RS256") == 0)
		*out = WEB_SIGNATURE_RS256;
	else if (alg != NULL && strcmp(alg, "ES256") == 0)
		*out = WEB_SIGNATURE_ES256;
	else
		return refuse(why, ERR_UNSUPPORTED, "the token is signed by another algorithm than RS256 or ES256");
	return ERR_NONE;
}

static enum err read_header(struct span part, struct jwt *jwt, struct why *why)
{
	json_t *header = jws_object(part, HEADER_MAX);
	if (header == NULL)
		return malformed(why, "the token's header is not a JSON object");
	enum err err = read_alg(header, &jwt->alg, why);
	const char *kid = text_of(header, "kid", JWT_KID_MAX);
	if (err == ERR_NONE && kid == NULL)
		err = malformed(why, "the token's header names no key (kid)");
	if (err == ERR_NONE)
		memcpy(jwt->kid, kid, strlen(kid) + 1);
	json_decref(header);
	return err;
}

/* Seconds since 1970 as an integer; RFC 7519 allows fractions, Kubernetes writes none. */
static bool read_time(const json_t *claims, const char *name, bool is_required, int64_t *out)
{
	const json_t *time = json_object_get(claims, name);
	if (time == NULL)
		return !is_required;
	if (!json_is_integer(time) || json_integer_value(time) <= 0)
		return false;
	*out = json_integer_value(time);
	return true;
}

static bool are_audiences(const json_t *audiences)
{
	if (json_is_string(audiences))
		return true;
	size_t num = json_array_size(audiences); /* 0: another kind of value */
	for (size_t i = 0; i < num; i++)
		if (!json_is_string(json_array_get(audiences, i)))
			return false;
	return num > 0 && num <= JWT_AUDIENCES_MAX;
}

static enum err read_subject(struct jwt *jwt, struct why *why)
{
	const json_t *about = json_object_get(jwt->claims, "kubernetes.io");
	const json_t *account = json_object_get(about, "serviceaccount"), *pod = json_object_get(about, "pod");
	struct kube_subject_names names = {.namespace_ = text_of(about, "namespace", TEXT_MAX),
		.account = text_of(account, "name", TEXT_MAX),
		.pod = text_of(pod, "name", TEXT_MAX),
		.pod_uid = text_of(pod, "uid", TEXT_MAX)};
	RETURN_IF_ERR(kube_subject_set(&jwt->subject, &names, why));
	if (!kube_subject_is_user(&jwt->subject, text_of(jwt->claims, "sub", TEXT_MAX)))
		return refuse(why, ERR_DENIED, "the token's subject is not the service account that it names");
	return ERR_NONE;
}

static enum err read_claims(struct span part, struct jwt *jwt, struct why *why)
{
	jwt->claims = jws_object(part, CLAIMS_MAX);
	if (jwt->claims == NULL)
		return malformed(why, "the token's claims are not a JSON object");
	jwt->issuer = text_of(jwt->claims, "iss", TEXT_MAX);
	if (jwt->issuer == NULL)
		return malformed(why, "the token names no issuer");
	if (!are_audiences(json_object_get(jwt->claims, "aud")))
		return malformed(why, "the token names no audience");
	if (!read_time(jwt->claims, "exp", true, &jwt->expires_s) ||
		!read_time(jwt->claims, "nbf", false, &jwt->not_before_s) ||
		!read_time(jwt->claims, "iat", false, &jwt->issued_s))
		return malformed(why, "the token's times are missing or no numbers of seconds");
	return read_subject(jwt, why);
}

enum err jwt_parse(struct span token, struct jwt *out, struct why *why)
{
	_cleanup_(jwt_done) struct jwt jwt = {.signature = BUF_INIT(WEB_KEY_SIGNATURE_MAX)};
	struct jws parts;
	if (token.len > JWT_MAX)
		return why_set(
			why, ERR_TOO_LARGE, EXPECTED, FIX, "the token has %zu bytes, more than %d", token.len, JWT_MAX);
	if (!jws_split(token, &parts))
		return malformed(why, "the token does not have three parts with dots between them");
	RETURN_IF_ERR(read_header(parts.header, &jwt, why));
	if (base64url_decode(parts.signature, &jwt.signature) != ERR_NONE)
		return malformed(why, "the token's signature is not base64url");
	RETURN_IF_ERR(read_claims(parts.payload, &jwt, why));
	jwt.signed_part = parts.signed_part;
	*out = jwt;
	jwt = (struct jwt){0};
	return ERR_NONE;
}

enum err jwt_check_audience(const struct jwt *jwt, const char *audience, struct why *why)
{
	const json_t *audiences = json_object_get(jwt->claims, "aud"), *first = audiences;
	if (json_is_array(audiences)) {
		first = json_array_get(audiences, 0);
		for (size_t i = 0; i < json_array_size(audiences); i++)
			if (strcmp(json_string_value(json_array_get(audiences, i)), audience) == 0)
				return ERR_NONE;
	} else if (strcmp(json_string_value(audiences), audience) == 0) {
		return ERR_NONE;
	}
	return why_set(why, ERR_DENIED, "a token whose audience is kubernetes.audience of the control plane",
		"set the audience of the projected token", "the token is for the audience %.100s and not for %.100s",
		json_string_value(first), audience);
}

enum err jwt_check_times(const struct jwt *jwt, int64_t now_s, struct why *why)
{
	if (now_s >= jwt->expires_s)
		return why_set(why, ERR_EXPIRED, "a token that is valid now",
			"read the token's file anew at each use: the kubelet replaces it",
			"the token expired %lld s ago", (long long)(now_s - jwt->expires_s));
	int64_t begin_s = jwt->not_before_s > jwt->issued_s ? jwt->not_before_s : jwt->issued_s;
	if (begin_s - JWT_LEEWAY_S > now_s)
		return why_set(why, ERR_NOT_YET_VALID, "a token that is valid now",
			"compare the clocks of this host and of the API server", "the token is valid in %lld s",
			(long long)(begin_s - now_s));
	return ERR_NONE;
}

enum err jwt_check_issuer(const struct jwt *jwt, const char *issuer, struct why *why)
{
	if (strcmp(jwt->issuer, issuer) == 0)
		return ERR_NONE;
	return why_set(why, ERR_DENIED, "a token of this cluster's API server",
		"let the sidecar attest to the control plane of its own cluster",
		"the token's issuer is %.100s and not %.100s", jwt->issuer, issuer);
}
