/* Seals a secret with a passphrase, so that an operator can carry the mesh's keys from one control plane to another in
 * a file. AES-256-GCM (RFC 5116) with a key from scrypt (RFC 7914; N 2^16, r 8, p 1: 64 MiB). Pure, and slow by design.
 */
#pragma once

#include "base/core/buf.h"

/* What is sealed, the first 16 bytes of the file: one is never opened as the other. */
#define PASSPHRASE_KEYS   "handfast-keys-1\n"
#define PASSPHRASE_BACKUP "handfast-back-1\n"

#define PASSPHRASE_MIN 12   /* bytes */
#define PASSPHRASE_MAX 1024 /* bytes */

/* ERR_CONFIG: the passphrase is too short or too long. ERR_LIMIT of out. */
enum err passphrase_seal(const char *kind, struct span passphrase, struct span secret, struct buf *out_sealed,
	struct why *why) _must_use_;
/* ERR_MALFORMED: not such a file. ERR_DENIED: another passphrase, or it was changed. The caller wipes the secret. */
enum err passphrase_open(const char *kind, struct span passphrase, struct span sealed, struct buf *out_secret,
	struct why *why) _must_use_;
