#include "certs/digest.h"
#include "base/core/check.h"

#include <openssl/sha.h>

void digest_sha256(struct span bytes, uint8_t out[DIGEST_LEN])
{
	_Static_assert(DIGEST_LEN == SHA256_DIGEST_LENGTH, "room for the digest");
	SHA256(bytes.ptr, bytes.len, out);
}
