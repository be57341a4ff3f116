/* Public keys given by their numbers, as JSON web keys are (RFC 7518 6.2, 6.3), and the two signatures over web tokens
 * that are accepted: RS256 and ES256 (RFC 7518 3.3, 3.4). Allowed are RSA keys of 2,048 to 8,192 bits with an odd
 * exponent from 65,537 to 2^33 - 1 (BoringSSL's maximum), and P-256. Symmetric keys do not exist here: HS256 with a
 * public key (W12) cannot be expressed. No JSON, no encodings of texts. */
#pragma once

#include "base/core/buf.h"

#define WEB_KEY_RSA_BITS_MIN  2048
#define WEB_KEY_RSA_BITS_MAX  8192
#define WEB_KEY_P256_LEN      32 /* bytes of each coordinate */
#define WEB_KEY_SIGNATURE_MAX (WEB_KEY_RSA_BITS_MAX / 8)

enum web_signature { WEB_SIGNATURE_RS256, WEB_SIGNATURE_ES256 };

struct web_key;

/* Numbers are big-endian. ERR_WEAK_KEY: another size or exponent; the point is not on the curve. */
enum err web_key_from_rsa(struct span modulus, struct span exponent, struct web_key **out, struct why *why) _must_use_;
enum err web_key_from_p256(struct span x, struct span y, struct web_key **out, struct why *why) _must_use_;
/* A P-256 SubjectPublicKeyInfo has exactly this many bytes, of which the last are the point's coordinates. */
#define WEB_KEY_P256_SPKI_LEN 91
/* The coordinates in it, borrowed. ERR_WEAK_KEY: another kind of key; whether the point is on the curve is
 * web_key_from_p256()'s check. */
enum err web_key_point_of_spki(struct span spki, struct span *out_x, struct span *out_y, struct why *why) _must_use_;
/* The `kid` of that key in tokens and JWK sets of this mesh: the base64url of its SHA-256. */
#define WEB_KEY_ID_LEN 43
void web_key_id_of_spki(struct span spki, char out[WEB_KEY_ID_LEN + 1]);
/* The SubjectPublicKeyInfo with that point, x before y. */
void web_key_p256_spki(const uint8_t point[2 * WEB_KEY_P256_LEN], uint8_t out[WEB_KEY_P256_SPKI_LEN]);
void web_key_free(struct web_key *key);
DEFINE_CLEANUP(struct web_key *, web_key_free)

/* The one kind of signature that this key makes. */
enum web_signature web_key_signature(const struct web_key *key);
/* Verifies a signature of that kind over `message`. RS256: exactly as many bytes as the modulus; ES256: 64 bytes, r and
 * s. ERR_CRYPTO: it does not verify. */
enum err web_key_verify(
	const struct web_key *key, struct span message, struct span signature, struct why *why) _must_use_;
