/* A root of the operator's: the signer gets an intermediate below it in place of its key. */
#include "control/rotate/rotation_private.h"

bool rotation_is_own_root(const struct rotation *rotation)
{
	for (size_t i = 0; i < rotation->num_known; i++)
		if (memcmp(rotation->known[i].sha256, rotation->state.active, DIGEST_LEN) == 0)
			return rotation->known[i].root.is_operators;
	return false;
}

bool rotation_lacks_intermediate(const struct rotation *rotation)
{
	return rotation_is_own_root(rotation) && !rotation_signer_has_active(rotation);
}

bool rotation_wants_root(const struct rotation *rotation, uint8_t out_sha256[DIGEST_LEN])
{
	const struct rotation_state *state = &rotation->state;
	if (state->phase == ROTATION_NONE && rotation_signer_has_active(rotation))
		return false;
	memcpy(out_sha256, state->phase == ROTATION_PUBLISHING ? state->other : state->active, DIGEST_LEN);
	return true;
}

const struct rotation_known *rotation_next_to_mark(struct rotation *rotation)
{
	const struct rotation_state *state = &rotation->state;
	const uint8_t *const roots[] = {state->active, state->other};
	for (size_t i = 0; i < (state->phase == ROTATION_REISSUING ? 2 : 1); i++) {
		const struct rotation_known *known = rotation_find(rotation, roots[i]);
		if (known != NULL && known->root.is_operators && known->root.withdrawn_s == 0)
			return known;
	}
	return NULL;
}

void rotation_take_root(struct rotation *rotation, struct span root_der, rotation_done_fn *on_done, void *arg)
{
	const struct rotation_state *state = &rotation->state;
	uint8_t sha256[DIGEST_LEN];
	struct why why = {0};
	digest_sha256(root_der, sha256);
	const struct rotation_known *known = rotation_find(rotation, sha256);
	if (memcmp(sha256, state->active, DIGEST_LEN) == 0) {
		rotation_retry_now(rotation);
		on_done(arg, ERR_NONE, NULL);
	} else if (known != NULL && known->root.withdrawn_s != 0) {
		on_done(arg,
			why_set(&why, ERR_REVOKED, "an intermediate below another root",
				"make another root, and give each control plane an intermediate below it",
				"this root was withdrawn by `handfast ca replace --compromised`"),
			&why);
	} else if (state->phase == ROTATION_PUBLISHING && memcmp(sha256, state->other, DIGEST_LEN) == 0) {
		on_done(arg, ERR_NONE, NULL);
	} else if (state->phase == ROTATION_NONE) {
		rotation_begin_own(rotation, root_der, on_done, arg);
	} else {
		on_done(arg, rotation_is_under_way(rotation, &why), &why);
	}
}
