#include "sidecar/conn/proxy_header.h"
#include "base/core/check.h"
#include <string.h>

/* The PROXY protocol, versions 1 and 2, section 2.2 */
enum { VERSION_2_PROXY = 0x21, TCP_OVER_IPV4 = 0x11, TCP_OVER_IPV6 = 0x21, TLV_SPIFFE_ID = 0xD0, ID_MAX = 2048 };

static const uint8_t signature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *put_u16(uint8_t *at, size_t value)
{
	CHECK(value <= UINT16_MAX);
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

size_t proxy_header_encode(
	const struct addr *source, const struct addr *destination, const char *id, uint8_t out[PROXY_HEADER_MAX])
{
	bool is_v4 = source->ip.family == AF_INET;
	size_t ip_len = is_v4 ? 4 : 16, id_len = id == NULL ? 0 : strlen(id);
	CHECK(source->ip.family == destination->ip.family && id_len <= ID_MAX);
	uint8_t *at = put_bytes(out, signature, sizeof(signature));
	*at++ = VERSION_2_PROXY;
	*at++ = is_v4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
	at = put_u16(at, 2 * ip_len + 4 + (id_len == 0 ? 0 : 3 + id_len));
	at = put_bytes(at, source->ip.bytes, ip_len);
	at = put_bytes(at, destination->ip.bytes, ip_len);
	at = put_u16(put_u16(at, source->port), destination->port);
	if (id_len > 0) {
		*at++ = TLV_SPIFFE_ID;
		at = put_bytes(put_u16(at, id_len), id, id_len);
	}
	return (size_t)(at - out);
}
