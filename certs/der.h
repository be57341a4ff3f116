/* Is it DER, all the way down? The library's older parsers let some BER through; what is not the one canonical encoding
 * is refused before they see it, so that no two readers can disagree about the same bytes. */
#pragma once

#include "base/core/span.h"

#define DER_DEPTH_MAX 24 /* stops a recursion bomb; a certificate needs about 10 */

/* One element that fills `bytes` exactly; every header, also of nested constructed elements, in DER. */
bool der_is_strict(struct span bytes);
