#include "certs/pem.h"
#include "base/core/check.h"
#include "certs/boringssl.h"
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <stdio.h>

DEFINE_CLEANUP(BIO *, BIO_free)

void pem_block_done(struct pem_block *block)
{
	OPENSSL_free(block->der); /* wipes */
	*block = (struct pem_block){0};
}

enum err pem_next(struct span *rest, struct pem_block *block)
{
	pem_block_done(block);
	if (rest->len == 0 || rest->len > INT_MAX)
		return rest->len == 0 ? ERR_NOT_FOUND : ERR_MALFORMED;
	_cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(rest->ptr, (ossl_ssize_t)rest->len);
	CHECK(bio != NULL);
	char *label = NULL, *headers = NULL;
	uint8_t *der = NULL;
	long der_len = 0;
	ERR_clear_error();
	if (PEM_read_bio(bio, &label, &headers, &der, &der_len) != 1) {
		bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		ERR_clear_error();
		return is_end ? ERR_NOT_FOUND : ERR_MALFORMED;
	}
	CHECK(der_len >= 0);
	snprintf(block->label, sizeof(block->label), "%s", label);
	block->is_encrypted = headers[0] != '\0';
	OPENSSL_free(label);
	OPENSSL_free(headers);
	block->der = der;
	block->der_len = (size_t)der_len;
	size_t left = BIO_pending(bio);
	CHECK(left < rest->len); /* a block has bytes: the next call begins later */
	*rest = span_from(*rest, rest->len - left);
	return ERR_NONE;
}

enum err pem_read_list(const struct pem_list *list, struct span pem, void *arg, struct why *why)
{
	_cleanup_(pem_block_done) struct pem_block block = {0};
	unsigned num = 0;
	enum err err;
	while ((err = pem_next(&pem, &block)) == ERR_NONE)
		if (strcmp(block.label, list->label) == 0) {
			RETURN_IF_ERR(list->take(arg, span_of(block.der, block.der_len), why));
			num++;
		}
	if (err != ERR_NOT_FOUND)
		return why_set(why, ERR_MALFORMED, list->many, list->fix, "the %s are not PEM", list->many);
	if (num == 0)
		return why_set(why, ERR_MALFORMED, list->many, list->fix, "there is no %s", list->one);
	return ERR_NONE;
}

enum err pem_encode(const char *label, struct span der, struct buf *out)
{
	CHECK(der.len > 0 && der.len <= INT_MAX);
	_cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *text;
	size_t len;
	CHECK(bio != NULL && PEM_write_bio(bio, label, "", der.ptr, (long)der.len) > 0);
	CHECK(BIO_mem_contents(bio, &text, &len));
	return buf_append(out, span_of(text, len));
}
