/* The messages between the signer and handfast-pkcs11, the process that has loaded a PKCS#11 module: one datagram each
 * over a socket pair that no other process has. Both ends are of one release. */
#pragma once

#include <stdint.h>

#define TOKEN_INPUT_MAX     128  /* bytes: a digest, or a DigestInfo */
#define TOKEN_SIGNATURE_MAX 512  /* bytes */
#define TOKEN_WAIT_MS       3000 /* what a signature may take: the signer makes no certificate meanwhile */

struct token_request_header {
	uint64_t id;       /* repeated in the answer */
	uint32_t is_ecdsa; /* else RSA, PKCS#1 v1.5 */
	uint32_t len;      /* of the input, which follows */
};

struct token_answer_header {
	uint64_t id;
	uint32_t is_signed; /* the signature follows; else the reason */
	uint32_t len;
};
