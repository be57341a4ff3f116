/* A machine certificate of the operator's CA: its key signs what this connection exports. */
#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/net/fd.h"
#include "control/attest/attest_private.h"
#include <sys/stat.h>

#define FILE_MAX_BYTES (2u * 1024 * 1024)

void attest_x509_done(struct attest *attest)
{
	web_roots_free(attest->x509.roots);
	machine_crls_free(attest->x509.crls);
}

/* --- the operator's files --- */

static bool has_changed(const char *path, struct file_stamp *stamp)
{
	struct stat found;
	struct file_stamp now = {0};
	if (stat(path, &found) == 0)
		now = (struct file_stamp){
			found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
	bool is_same = now.inode != 0 && now.device == stamp->device && now.inode == stamp->inode &&
		       now.size == stamp->size && now.changed_s == stamp->changed_s &&
		       now.changed_ns == stamp->changed_ns;
	*stamp = now;
	return !is_same;
}

static enum err read_roots(struct attest *attest, struct why *why)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(FILE_MAX_BYTES);
	if (!has_changed(attest->x509.roots_path, &attest->x509.roots_stamp) && attest->x509.roots != NULL)
		return ERR_NONE;
	web_roots_free(attest->x509.roots);
	attest->x509.roots = NULL;
	RETURN_IF_ERR(fd_read_file(attest->x509.roots_path, FILE_MAX_BYTES, &pem, why));
	return web_roots_parse(buf_span(&pem), &attest->x509.roots, why);
}

static enum err read_lists(struct attest *attest, struct why *why)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(FILE_MAX_BYTES);
	if (attest->x509.crl_path == NULL ||
		(!has_changed(attest->x509.crl_path, &attest->x509.crl_stamp) && attest->x509.crls != NULL))
		return ERR_NONE;
	machine_crls_free(attest->x509.crls);
	attest->x509.crls = NULL;
	RETURN_IF_ERR(fd_read_file(attest->x509.crl_path, FILE_MAX_BYTES, &pem, why));
	return machine_crls_parse(buf_span(&pem), &attest->x509.crls, why);
}

/* Once, and not for each stranger who asks. */
static void note_trouble(struct attest *attest, const struct why *why)
{
	struct why *known = &attest->x509.trouble;
	bool is_new = why->err != known->err || strcmp(why->got, known->got) != 0;
	*known = *why;
	if (why->err != ERR_NONE && is_new)
		log_why(LOG_LEVEL_ERROR, "attest", "the CAs of machine certificates cannot be used; all are refused",
			why);
}

static enum err read_both(struct attest *attest)
{
	struct why why = {0};
	enum err err = read_roots(attest, &why);
	if (err == ERR_NONE)
		err = read_lists(attest, &why);
	note_trouble(attest, &why);
	return err;
}

enum err attest_set_x509(struct attest *attest, const char *roots_path, const char *crl_path)
{
	attest->x509.roots_path = roots_path;
	attest->x509.crl_path = crl_path;
	return roots_path == NULL ? ERR_NONE : read_both(attest);
}

/* Its caller learns no more than that: the files are the operator's. */
static enum err read_files(struct check *check)
{
	if (read_both(check->attest) == ERR_NONE)
		return ERR_NONE;
	return why_set(&check->detail, ERR_UNAVAILABLE, "a control plane that can check machine certificates",
		"see the control plane's log", "its files of attestation.x509 cannot be used");
}

/* --- the proof --- */

static void add_fact(void *arg, enum machine_fact fact, struct span value)
{
	static const char *const prefixes[] = {[MACHINE_SUBJECT_CN] = "x509:subject:cn:",
		[MACHINE_SAN_DNS] = "x509:san:dns:",
		[MACHINE_SAN_URI] = "x509:san:uri:",
		[MACHINE_CA_SHA256] = "x509:ca-fingerprint:"};
	_cleanup_(buf_done) struct buf text = BUF_INIT(WORKLOAD_SELECTOR_MAX);
	char digits[2 * DIGEST_LEN + 1];
	if (fact == MACHINE_CA_SHA256) {
		hex_format(value, digits);
		value = span_of_str(digits);
	}
	/* What no selector can name is no fact: longer texts, and a NUL, which would cut the text. */
	if (memchr(value.ptr, '\0', value.len) == NULL && buf_append_str(&text, prefixes[fact]) == ERR_NONE &&
		buf_append(&text, value) == ERR_NONE)
		selector_set_add(arg, buf_span(&text));
}

/* What is signed: the context, what the connection exports for this CSR, and the attestation key. */
static enum err signed_bytes(const struct check *check, const struct attest_request *request, struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, ATTEST_X509_CONTEXT));
	RETURN_IF_ERR(buf_append(out, span_of(request->exported, ATTEST_EXPORTED_LEN)));
	return buf_append(out, span_of(check->key_hash, DIGEST_LEN));
}

enum err attest_by_x509(struct check *check, const struct attest_request *request)
{
	struct attest *attest = check->attest;
	_cleanup_(selector_set_done) struct selector_set facts = {0};
	_cleanup_(buf_done) struct buf message = BUF_INIT(128);
	if (attest->x509.roots_path == NULL)
		return why_set(&check->detail, ERR_UNSUPPORTED, "a control plane that takes machine certificates",
			"set attestation.x509.roots of the control plane, or give the sidecar a join token: `handfast "
			"token create`",
			"the request carries a machine certificate");
	RETURN_IF_ERR(read_files(check));
	RETURN_IF_ERR(signed_bytes(check, request, &message));
	const struct verify_machine_input input = {.chain = request->x509.chain,
		.num_chain = request->x509.num_chain,
		.message = buf_span(&message),
		.signature = request->x509.signature,
		.roots = attest->x509.roots,
		.crls = attest->x509.crls,
		.now_s = attest_now_s(attest)};
	RETURN_IF_ERR(verify_machine_chain(&input, add_fact, &facts, &check->detail));
	return attest_by_facts(check, &facts, SVID_HOLDER_BY_X509, request->own);
}
