/* Revocation lists of authorities of this trust domain, from files of the operator's (identity.crl_files), DER or PEM;
 * read again when their content changes. A file that is not usable is reported by name, and the last usable content
 * stays; it does not keep the others from use (decision 069). */
#pragma once

#include "certs/bundle.h"

#define CRL_FILES_MAX      8
#define CRL_FILE_BYTES_MAX (256u * 1024) /* all are part of each sidecar's trust state, which has at most 4 MiB */

struct crl_files;
struct crl_files *crl_files_new(char *const *paths, size_t num, const struct trust_domain *domain); /* borrowed */
void crl_files_free(struct crl_files *files); /* NULL is allowed */
/* About once per second. True: some usable content has changed. */
bool crl_files_poll(struct crl_files *files);
/* To a set that has the domain's bundle. One that the set refuses, such as with a foreign signature, is left out and is
 * the file's trouble. */
void crl_files_add(struct crl_files *files, struct bundle_set *set);
/* The first file that is not usable, or whose list is past its nextUpdate. False: none. */
bool crl_files_trouble(const struct crl_files *files, int64_t now_s, struct why *why);
