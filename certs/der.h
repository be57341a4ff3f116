/* A strict DER check. BoringSSL's older parsers accept some BER; input that is not the canonical encoding is refused
 * before they parse it, so that two parsers cannot interpret the same bytes differently. */
#pragma once

#include "base/core/span.h"

#define DER_DEPTH_MAX 24 /* against deep nesting; a certificate needs about 10 */

/* Whether `bytes` is exactly one element whose headers, also of nested constructed elements, are DER. */
bool der_is_strict(struct span bytes);
/* Takes the first element of concatenated DER off *rest. False: *rest does not begin with one. */
bool der_take_first(struct span *rest, struct span *out);
