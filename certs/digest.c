#include "certs/digest.h"

#include <openssl/sha.h>

void digest_sha256(struct span bytes, uint8_t out[DIGEST_LEN])
{
	SHA256(bytes.ptr, bytes.len, out);
}
