/* A private key that is elsewhere, such as in a token of PKCS#11: a struct private_key whose signatures a callback
 * makes. Of private_key.h only private_key_public() and signing work with it. P-256, P-384, or RSA of an allowed size.
 */
#pragma once

#include "certs/private_key.h"

#define REMOTE_SIGNATURE_MAX 512 /* bytes: RSA 4096 */

enum remote_key_kind { REMOTE_KEY_ECDSA, REMOTE_KEY_RSA };

/* Appends the signature: ECDSA: r and s, each as long as the order, over `input`, a digest; RSA: PKCS#1 v1.5 over
 * `input`, a DigestInfo (RFC 8017 9.2). Any error makes signing fail. */
typedef enum err remote_sign_fn(void *arg, enum remote_key_kind kind, struct span input, struct buf *out);

/* certificate_der: whose public key it is. ERR_MALFORMED, ERR_WEAK_KEY. arg: borrowed as long as the key lives. */
enum err remote_key_new(struct span certificate_der, remote_sign_fn *sign, void *arg, struct private_key **out,
	struct why *why) _must_use_;
