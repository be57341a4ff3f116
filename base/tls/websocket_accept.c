#include "base/tls/websocket_accept.h"
#include "base/core/base64.h"
#include <openssl/sha.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 1.3 */

enum err websocket_accept(const char *key, struct buf *out)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(256);
	uint8_t hash[SHA_DIGEST_LENGTH];
	RETURN_IF_ERR(buf_printf(&text, "%s" GUID, key));
	SHA1(buf_span(&text).ptr, buf_len(&text), hash);
	return base64_encode(span_of(hash, sizeof hash), out);
}
