#include "control/pkcs11/token.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/pkcs11/token_wire.h"
#include <dlfcn.h>
#include <p11-kit-1/p11-kit/pkcs11.h>
#include <stdio.h>

#define SLOTS_MAX 64
#define PIN_MAX   256

struct token {
	struct token_options options;
	void *library;
	CK_FUNCTION_LIST *calls;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	bool has_session; /* logged in, with the key */
	struct buf refused_pin;
};

/* --- errors --- */

static const char *name_of(CK_RV result)
{
	static const struct {
		CK_RV result;
		const char *name;
	} names[] = {{CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT"}, {CKR_PIN_LOCKED, "CKR_PIN_LOCKED"},
		{CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"}, {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
		{CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"},
		{CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED"},
		{CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT"},
		{CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID"}, {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].result == result)
			return names[i].name;
	return "a CKR_ code of PKCS#11";
}

static enum err failed(const char *call, CK_RV result, struct why *why)
{
	return why_set(why, ERR_UNAVAILABLE, "a token that is there and whose key may sign",
		"try it with pkcs11-tool --module MODULE --login --sign", "%s: error 0x%lx (%s)", call,
		(unsigned long)result, name_of(result));
}

/* --- the session --- */

static void forget_session(struct token *token)
{
	if (token->session != CK_INVALID_HANDLE)
		(void)token->calls->C_CloseSession(token->session); /* it may be gone with the token */
	token->session = CK_INVALID_HANDLE;
	token->has_session = false;
}

/* PKCS#11 6.7: a label is padded with blanks. */
static bool has_label(const CK_TOKEN_INFO *found, const char *label)
{
	size_t len = strlen(label);
	if (len > sizeof found->label || memcmp(found->label, label, len) != 0)
		return false;
	for (; len < sizeof found->label; len++)
		if (found->label[len] != ' ')
			return false;
	return true;
}

static enum err find_slot(struct token *token, CK_SLOT_ID *out, struct why *why)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG num = SLOTS_MAX;
	CK_TOKEN_INFO found;
	CK_RV result = token->calls->C_GetSlotList(CK_TRUE, slots, &num);
	if (result != CKR_OK)
		return failed("C_GetSlotList", result, why);
	for (CK_ULONG i = 0; i < num; i++)
		if (token->calls->C_GetTokenInfo(slots[i], &found) == CKR_OK &&
			has_label(&found, token->options.label)) {
			*out = slots[i];
			return ERR_NONE;
		}
	return why_set(why, ERR_NOT_FOUND, "a token with the label of identity.ca.pkcs11.token",
		"list the tokens: pkcs11-tool --module MODULE --list-token-slots",
		"of %lu tokens none has the label '%s'", (unsigned long)num, token->options.label);
}

static enum err read_pin(const struct token *token, struct buf *content, struct span *out, struct why *why)
{
	RETURN_IF_ERR(fd_read_private_file(token->options.pin_file, PIN_MAX, content, why));
	*out = buf_span(content);
	while (out->len > 0 && (out->ptr[out->len - 1] == '\n' || out->ptr[out->len - 1] == '\r'))
		out->len--;
	return ERR_NONE;
}

static enum err log_in(struct token *token, struct why *why)
{
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(PIN_MAX);
	uint8_t pin[PIN_MAX];
	struct span text = {0};
	RETURN_IF_ERR(read_pin(token, &content, &text, why));
	if (buf_len(&token->refused_pin) > 0 && span_eq(buf_span(&token->refused_pin), text))
		return why_set(why, ERR_DENIED, "the PIN of the token's user",
			"correct identity.ca.pkcs11.pin_file; until then it is not tried again",
			"the token refused the PIN");
	memcpy(pin, text.ptr, text.len);
	CK_RV result = token->calls->C_Login(token->session, CKU_USER, pin, text.len);
	mem_wipe(pin, sizeof pin);
	if (result == CKR_OK || result == CKR_USER_ALREADY_LOGGED_IN)
		return ERR_NONE;
	if (result != CKR_PIN_INCORRECT && result != CKR_PIN_LOCKED)
		return failed("C_Login", result, why);
	buf_clear(&token->refused_pin);
	RETURN_IF_ERR(buf_append(&token->refused_pin, text));
	(void)failed("C_Login", result, why);
	return why->err = ERR_DENIED;
}

static enum err find_key(struct token *token, struct why *why)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)token->options.key, strlen(token->options.key)}};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG num = 0;
	CK_RV result = token->calls->C_FindObjectsInit(token->session, wanted, 2);
	if (result == CKR_OK) {
		result = token->calls->C_FindObjects(token->session, found, 2, &num);
		(void)token->calls->C_FindObjectsFinal(token->session);
	}
	if (result != CKR_OK)
		return failed("C_FindObjects", result, why);
	if (num != 1)
		return why_set(why, ERR_NOT_FOUND, "one private key with the label of identity.ca.pkcs11.key",
			"list the keys: pkcs11-tool --module MODULE --login --list-objects",
			"%s private key has the label '%s'", num == 0 ? "no" : "more than one", token->options.key);
	token->key = found[0];
	return ERR_NONE;
}

static enum err begin_session(struct token *token, struct why *why)
{
	CK_SLOT_ID slot = 0;
	if (token->has_session)
		return ERR_NONE;
	RETURN_IF_ERR(find_slot(token, &slot, why));
	CK_RV result = token->calls->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
	if (result != CKR_OK) {
		token->session = CK_INVALID_HANDLE;
		return failed("C_OpenSession", result, why);
	}
	enum err err = log_in(token, why);
	if (err == ERR_NONE)
		err = find_key(token, why);
	if (err != ERR_NONE)
		forget_session(token);
	token->has_session = err == ERR_NONE;
	return err;
}

/* --- the module --- */

static enum err not_a_module(const char *path, const char *got, struct why *why)
{
	return why_set(why, ERR_CONFIG, "a PKCS#11 module, a shared library with C_GetFunctionList",
		"correct identity.ca.pkcs11.module, such as /usr/lib/softhsm/libsofthsm2.so", "%.80s: %.120s", path,
		got);
}

enum err token_open(const struct token_options *options, struct token **out, struct why *why)
{
	_cleanup_(token_freep) struct token *token = mem_new(struct token);
	CK_C_GetFunctionList list;
	CK_RV result;
	token->options = *options;
	buf_init(&token->refused_pin, PIN_MAX);
	token->library = dlopen(options->module, RTLD_NOW | RTLD_LOCAL);
	if (token->library == NULL)
		return not_a_module(options->module, dlerror(), why);
	void *symbol = dlsym(token->library, "C_GetFunctionList");
	if (symbol == NULL)
		return not_a_module(options->module, "it has no C_GetFunctionList", why);
	memcpy(&list, &symbol, sizeof list); /* C has no conversion of a data pointer to a function */
	if ((result = list(&token->calls)) != CKR_OK)
		return failed("C_GetFunctionList", result, why);
	if ((result = token->calls->C_Initialize(NULL)) != CKR_OK) {
		token->calls = NULL;
		return failed("C_Initialize", result, why);
	}
	*out = TAKE_PTR(token);
	return ERR_NONE;
}

void token_free(struct token *token)
{
	if (token->calls != NULL) {
		forget_session(token);
		(void)token->calls->C_Finalize(NULL);
	}
	if (token->library != NULL)
		dlclose(token->library);
	buf_wipe(&token->refused_pin);
	mem_free(token);
}

/* --- a signature --- */

static CK_RV sign(struct token *token, bool is_ecdsa, struct span input, uint8_t *out, CK_ULONG *len)
{
	CK_MECHANISM mechanism = {is_ecdsa ? CKM_ECDSA : CKM_RSA_PKCS, NULL, 0};
	uint8_t copy[TOKEN_INPUT_MAX];
	CK_RV result = token->calls->C_SignInit(token->session, &mechanism, token->key);
	memcpy(copy, input.ptr, input.len);
	return result == CKR_OK ? token->calls->C_Sign(token->session, copy, input.len, out, len) : result;
}

enum err token_sign(struct token *token, bool is_ecdsa, struct span input, struct buf *out, struct why *why)
{
	uint8_t signature[TOKEN_SIGNATURE_MAX];
	CK_RV result = CKR_OK;
	CHECK(input.len <= TOKEN_INPUT_MAX);
	for (int i = 0; i < 2; i++) { /* the second time with a new session: the token may have been away */
		CK_ULONG len = sizeof signature;
		RETURN_IF_ERR(begin_session(token, why));
		result = sign(token, is_ecdsa, input, signature, &len);
		if (result == CKR_OK)
			return buf_append(out, span_of(signature, len));
		forget_session(token);
	}
	return failed("C_Sign", result, why);
}
