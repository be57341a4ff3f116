/* The parsed CA certificates of verify_web.h and verify_machine.h. Private to certs. */
#pragma once

#include "certs/boringssl.h"
#include "certs/verify_web.h"

struct web_roots {
	STACK_OF(X509) * certs;
};

/* Those that are valid now come first: BoringSSL takes the first issuer of the right name and key, and a file may have
 * an authority twice, as it was and renewed. The others stay, so that the error is that of their time. The caller frees
 * the stack, whose certificates are borrowed. */
STACK_OF(X509) * web_roots_valid_first(const struct web_roots *roots, int64_t now_s);
