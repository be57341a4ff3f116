/* PEM (RFC 7468) as files of others hold it: blocks with a label, text between them. */
#pragma once

#include "base/core/buf.h"

#define PEM_LABEL_MAX 32

struct pem_block {                 /* zeroed is empty */
	char label[PEM_LABEL_MAX]; /* "CERTIFICATE"; cut */
	bool is_encrypted;         /* it has the headers of RFC 1421: the bytes are not DER */
	uint8_t *der;              /* owned, wiped on release */
	size_t der_len;
};

/* Reads the first block of *rest and leaves what follows it. ERR_NOT_FOUND: there is no further block; ERR_MALFORMED:
 * the block does not parse. Releases what *block had before. */
enum err pem_next(struct span *rest, struct pem_block *block) _must_use_;
void pem_block_done(struct pem_block *block);
/* A file whose blocks of one kind are a list. */
struct pem_list {
	const char *label, *one, *many; /* "CERTIFICATE", "CA certificate", "CA certificates" */
	const char *fix;
	enum err (*take)(void *arg, struct span der, struct why *why);
};
/* Gives each block with the list's label to take(), and skips the others. ERR_MALFORMED: it is not PEM, or has no such
 * block; else the first error of take(). */
enum err pem_read_list(const struct pem_list *list, struct span pem, void *arg, struct why *why) _must_use_;
enum err pem_encode(const char *label, struct span der, struct buf *out) _must_use_; /* appends; ERR_LIMIT */
