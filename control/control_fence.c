/* From a loaded store to its only issuer. The signer checks the store before anything is written: a lost store or an
 * older copy is refused at every start, until an operator confirms it (control_restore.c). Then the epoch is stored,
 * and after the introduction the signer refuses every older issuer. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/control_private.h"
#include "control/store/key_records.h"
#include "control/store/record.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EPOCH_KEY     "issuer/epoch"
#define AUTHORITY_KEY KEY_RECORDS_KNOWN
#define NOTE_MS                                                                                                        \
	10000 /* changes of this last period may be missing in an older copy without being noticed; bans never */

struct store_mark control_store_mark(const struct control *control)
{
	struct store_value stored;
	struct store_mark mark = {
		.incarnation = store_incarnation(control->store), .revision = store_revision(control->store)};
	if (store_get(control->store, EPOCH_KEY, &stored))
		mark.epoch = (uint64_t)record_number(stored.bytes, "epoch", 0);
	return mark;
}

enum key_policy control_key_policy(const struct control *control)
{
	struct store_value known;
	bool must_exist = control->client != NULL || /* Kubernetes: control_keys.c has put them there */
			  store_get(control->store, AUTHORITY_KEY, &known);
	return must_exist ? KEYS_MUST_EXIST : KEYS_MAY_BE_MADE;
}

static void fail_start(struct control *control, enum err err, const char *what)
{
	struct why why = {0};
	store_explain(control->store, err, &why);
	control_fail(control, err, what, &why);
}

/* --- authorities: the store has a record of its own --- */

static enum err encode_authorities(const struct control *control, struct buf *out)
{
	struct key_hashes hashes;
	key_hashes_of(buf_span(&control->authorities[0]), buf_span(&control->authorities[1]), &hashes);
	return key_hashes_encode(&hashes, out);
}

/* A rotation has replaced the root that was recorded first. Its state names the one in use, and one that the signer may
 * still have, or have already, when it was interrupted. */
static bool is_of_rotation(const struct control *control, const uint8_t root[DIGEST_LEN])
{
	struct rotation_state state;
	struct store_value stored;
	return store_get(control->store, ROTATION_STATE_KEY, &stored) &&
	       rotation_state_parse(stored.bytes, &state) == ERR_NONE &&
	       (memcmp(state.active, root, DIGEST_LEN) == 0 || memcmp(state.other, root, DIGEST_LEN) == 0);
}

/* A successor signs in place of the bootstrap root that was recorded first. */
static bool is_of_bootstrap(const struct control *control, const uint8_t own[DIGEST_LEN])
{
	_cleanup_(bootstrap_state_done) struct bootstrap_state state;
	struct store_value stored;
	uint8_t active[DIGEST_LEN];
	bootstrap_state_init(&state);
	if (!store_get(control->store, BOOTSTRAP_STATE_KEY, &stored) ||
		bootstrap_state_parse(stored.bytes, &state) != ERR_NONE)
		return false;
	digest_sha256(buf_span(&state.active), active);
	return memcmp(active, own, DIGEST_LEN) == 0;
}

/* Keys other than the store's would lock out every enrolled sidecar. */
static enum err check_authorities(const struct control *control, struct why *why)
{
	uint8_t own[DIGEST_LEN], recorded[DIGEST_LEN];
	struct store_value known;
	if (!store_get(control->store, AUTHORITY_KEY, &known))
		return ERR_NONE;
	digest_sha256(buf_span(&control->authorities[0]), own);
	bool is_good = (record_hex(known.bytes, "bootstrap_sha256", recorded, DIGEST_LEN) &&
			       memcmp(own, recorded, DIGEST_LEN) == 0) ||
		       is_of_bootstrap(control, own);
	digest_sha256(buf_span(&control->authorities[1]), own);
	is_good = is_good && ((record_hex(known.bytes, "root_sha256", recorded, DIGEST_LEN) &&
				      memcmp(own, recorded, DIGEST_LEN) == 0) ||
				     is_of_rotation(control, own));
	if (is_good)
		return ERR_NONE;
	return why_set(why, ERR_STATE_DAMAGED, "the keys that belong to this store",
		control_has_etcd(control)
			? "copy the keys of a control plane that runs: `handfast-control keys export` there, an empty "
			  "key folder and `keys import` here; nothing was overwritten"
			: "restore the key folder and the store from one backup; nothing was overwritten",
		"the key folder has other keys");
}

enum err control_keep_authorities(struct control *control, const struct issued *issued, struct why *why)
{
	if (issued->num_chain != 3)
		return why_set(why, ERR_MALFORMED, "three authorities", "report this as a defect",
			"the signer answered with %zu", issued->num_chain);
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&control->authorities[i]);
		RETURN_IF_ERR(buf_append(&control->authorities[i], issued->chain[i]));
	}
	return check_authorities(control, why);
}

static void on_authorities_stored(void *arg, enum err err, _unused_ uint64_t version)
{
	struct control *control = arg;
	struct why why = {0};
	if (err == ERR_CONFLICT) { /* another replica stored its own, which must be the same */
		err = check_authorities(control, &why);
		if (err != ERR_NONE)
			control_fail(control, err, "cannot start", &why);
	} else if (err != ERR_NONE)
		fail_start(control, err, "cannot start: the authorities are not stored");
	if (err != ERR_NONE)
		return;
	control->on_fenced(control);
}

static void store_authorities(struct control *control)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(4096);
	struct store_value known;
	if (store_get(control->store, AUTHORITY_KEY, &known))
		control->on_fenced(control);
	else {
		CHECK(encode_authorities(control, &record) == ERR_NONE); /* else the start would wait for ever */
		store_swap(control->store, AUTHORITY_KEY, 0, buf_span(&record), on_authorities_stored, control);
	}
}

/* --- a start on a full disk: the epoch must be stored, so a reserve is kept for that --- */

#define RESERVE_LEN   (256u * 1024) /* each start that needs it takes half of what is left */
#define RESERVE_LEAST (32u * 1024)  /* for the journal of one start, and the signer's mark */

static char *reserve_path(const struct control *control)
{
	return mem_printf("%s/reserve", control->state.store_folder);
}

static void keep_reserve(const struct control *control)
{
	_cleanup_(mem_freep) char *path = reserve_path(control);
	struct why why = {0};
	struct stat found;
	bool is_whole = stat(path, &found) == 0 && found.st_size >= RESERVE_LEN;
	if (!control_has_file(control) || is_whole || store_trouble(control->store)->err != ERR_NONE)
		return;
	_cleanup_(mem_freep) uint8_t *zeros = mem_zalloc(RESERVE_LEN);
	if (fd_write_file(path, span_of(zeros, RESERVE_LEN), 0600, &why) != ERR_NONE)
		log_why(LOG_LEVEL_DEBUG, "control", "there is no reserve for a start on a full disk", &why);
}

/* True: there is room now. */
static bool give_up_reserve(const struct control *control)
{
	_cleanup_(mem_freep) char *path = reserve_path(control);
	struct stat found;
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &found) != 0 ||
		(found.st_size > RESERVE_LEAST ? ftruncate(fd, found.st_size / 2) : unlink(path)) != 0)
		return false;
	log_warning("control",
		"the disk is full: starting with the reserve of %s; expected: free space for the store; fix: free "
		"some, or enlarge the disk",
		path);
	return true;
}

/* --- the signer --- */

static void on_note(struct loop_timer *timer)
{
	struct control *control = container_of(timer, struct control, note);
	control_note_store(control);
	keep_reserve(control);
	loop_timer_start(control->loop, &control->note, NOTE_MS, on_note);
}

void control_note_store(struct control *control)
{
	issuer_note(control->issuer, store_revision(control->store));
}

static void on_introduced(void *arg, enum err err, const struct issued *issued, const struct why *why);

static void introduce(struct control *control)
{
	const struct store_mark mark = control_store_mark(control);
	issuer_introduce(control->issuer, &mark, on_introduced, control);
}

static void on_introduced(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct control *control = arg;
	struct why own = {0};
	if (err == ERR_IO && give_up_reserve(control)) { /* the store had room, the signer's mark has none */
		introduce(control);
		return;
	}
	if (err == ERR_NONE) {
		why = &own;
		err = control_keep_authorities(control, issued, &own);
	}
	if (err != ERR_NONE) {
		control_fail(control, err, "the signer refuses", why);
		return;
	}
	keep_reserve(control);
	loop_timer_start(control->loop, &control->note, NOTE_MS, on_note);
	store_authorities(control);
}

static void store_epoch(struct control *control);

static void on_epoch(void *arg, enum err err, _unused_ uint64_t version)
{
	struct control *control = arg;
	if (err == ERR_NONE)
		introduce(control);
	else if (err == ERR_CONFLICT || (err == ERR_IO && give_up_reserve(control)))
		store_epoch(control); /* a conflict: another replica has started at the same time */
	else
		fail_start(control, err, "cannot start: the epoch is not stored");
}

static void store_epoch(struct control *control)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(256);
	struct store_value stored = {0};
	(void)store_get(control->store, EPOCH_KEY, &stored);
	CHECK(record_put_number(&record, "epoch", (int64_t)control_store_mark(control).epoch + 1) == ERR_NONE);
	store_swap(control->store, EPOCH_KEY, stored.version, buf_span(&record), on_epoch, control);
}

static void on_judged(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct control *control = arg;
	struct why own = {0};
	if (err == ERR_NONE) {
		why = &own;
		err = control_keep_authorities(control, issued, &own);
	}
	if (err != ERR_NONE) {
		control_fail(control, err, "this store is not used; nothing was written", why);
		return;
	}
	store_epoch(control);
}

void control_fence(struct control *control, void (*on_fenced)(struct control *control))
{
	struct store_mark mark = control_store_mark(control);
	mark.epoch++; /* the value after the start */
	CHECK(control->on_fenced == NULL && on_fenced != NULL);
	control->on_fenced = on_fenced;
	issuer_judge(control->issuer, &mark, on_judged, control);
}
