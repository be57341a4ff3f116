/* The fields of a certificate as text, for the admin pages and the command line. Does not validate. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

struct cert_description {
	char subject[256]; /* printable ASCII, as in error messages; "(empty)" when there is none */
	char serial[42];   /* hexadecimal */
	char sha256[65];   /* of the DER, hexadecimal */
	int64_t not_before_s, not_after_s;
};
enum err cert_describe(struct span der, struct cert_description *out, struct why *why) _must_use_;
/* Two hexadecimal digits per byte, as many whole bytes as fit; always terminated. Returns out. */
const char *describe_hex(struct span bytes, char *out, size_t cap);
