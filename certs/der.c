#include "certs/der.h"
#include <openssl/bytestring.h>

static bool is_strict(CBS *in, unsigned depth)
{
	if (depth > DER_DEPTH_MAX)
		return false;
	while (CBS_len(in) > 0) {
		CBS inner;
		CBS_ASN1_TAG tag;
		size_t header_len;
		/* refuses indefinite and overlong lengths and overlong tags */
		if (!CBS_get_any_asn1_element(in, &inner, &tag, &header_len) || !CBS_skip(&inner, header_len))
			return false;
		if ((tag & CBS_ASN1_CONSTRUCTED) != 0 && !is_strict(&inner, depth + 1))
			return false;
	}
	return true;
}

bool der_is_strict(struct span bytes)
{
	CBS all, first;
	CBS_ASN1_TAG tag;
	CBS_init(&all, bytes.ptr, bytes.len);
	if (!CBS_get_any_asn1_element(&all, &first, &tag, NULL) || CBS_len(&all) != 0)
		return false;
	return is_strict(&first, 0);
}

bool der_take_first(struct span *rest, struct span *out)
{
	CBS all, first;
	CBS_ASN1_TAG tag;
	CBS_init(&all, rest->ptr, rest->len);
	if (!CBS_get_any_asn1_element(&all, &first, &tag, NULL))
		return false;
	*out = span_of(CBS_data(&first), CBS_len(&first));
	*rest = span_of(CBS_data(&all), CBS_len(&all));
	return true;
}
