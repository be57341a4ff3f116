/* The identity as files, for programs that only read files: under the names that spiffe-helper gives them. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include "certs/digest.h"

#define SVID_CERT_FILE   "svid.pem"        /* leaf, intermediate */
#define SVID_KEY_FILE    "svid_key.pem"    /* PKCS#8, mode 0600 */
#define SVID_BUNDLE_FILE "svid_bundle.pem" /* the roots of the own trust domain */

/* Takes the first SVID of an X509SVIDResponse. Each file is replaced atomically, the key first: a reader that finds the
 * certificate of before beside it reads again at the notice that follows. ERR_MALFORMED: no such message, or no SVID in
 * it; nothing is written then. */
enum err svid_files_write(const char *folder, struct span message, struct why *why) _must_use_;
/* Of what the files have of that message: not of revocation lists and other trust domains. ERR_MALFORMED, as above. */
enum err svid_files_digest(struct span message, uint8_t out[DIGEST_LEN], struct why *why) _must_use_;
