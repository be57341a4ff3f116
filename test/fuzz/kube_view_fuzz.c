/* Objects of Kubernetes' API in any order: lines of an operation and its argument. A letter is a kind: p (pod), s
 * (Service), e (EndpointSlice), n (namespace). "+p{...}" puts an object, "-p{...}" deletes it, "!p" begins a new
 * generation, ".p" ends it, "?192.0.2.1:80" asks for an answer, "~" toggles whether the objects may be behind, "@" lets
 * a second pass. */
#include "base/core/check.h"
#include "control/kube/view.h"
#include "test/fuzz/fuzz.h"

struct state {
	struct kube_view *view;
	bool has_synced[NUM_KUBE_KINDS], is_stale;
	uint64_t now_ms;
};

static void on_change(void *arg, const struct ip_addr *ip)
{
	const struct state *state = arg;
	CHECK(ip == NULL || ip->family != 0);
	CHECK(state->has_synced[KUBE_PODS] && state->has_synced[KUBE_SERVICES] && state->has_synced[KUBE_SLICES]);
}

static bool kind_of(char letter, enum kube_kind *out)
{
	static const char letters[NUM_KUBE_KINDS] = {'p', 's', 'e', 'n'};
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		if (letters[kind] == letter) {
			*out = kind;
			return true;
		}
	return false;
}

static void ask(struct state *state, struct span text)
{
	static struct resolution answer;
	struct addr addr;
	if (addr_parse(text, &addr) != ERR_NONE)
		return;
	answer = (struct resolution){.kind = RESOLVED_UNKNOWN};
	bool is_known = kube_view_resolve(state->view, &addr, &answer);
	bool has_synced =
		state->has_synced[KUBE_PODS] && state->has_synced[KUBE_SERVICES] && state->has_synced[KUBE_SLICES];
	CHECK(has_synced || (is_known && answer.kind == RESOLVED_UNKNOWN));
	CHECK(is_known || answer.kind == RESOLVED_UNKNOWN);
	CHECK(answer.kind == RESOLVED_MESHED || answer.num_endpoints + answer.num_draining == 0);
	CHECK(answer.num_endpoints > 0 || answer.num_draining == 0);
	for (size_t i = 0; i < answer.num_endpoints + answer.num_draining; i++)
		CHECK(spiffe_id_is_set(answer.endpoints[i].id) && answer.endpoints[i].address.port != 0 &&
			answer.endpoints[i].address.ip.family == addr.ip.family);
}

static void change(struct state *state, char operation, enum kube_kind kind, struct span text)
{
	struct why why = {0};
	json_t *object = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	if (object == NULL)
		return;
	enum err err = operation == '+' ? kube_view_put(state->view, kind, object, &why)
					: kube_view_deleted(state->view, kind, object, &why);
	CHECK((err == ERR_NONE) == (why.err == ERR_NONE));
	json_decref(object);
}

static void run_line(struct state *state, struct span line)
{
	enum kube_kind kind;
	if (line.len > 0 && line.ptr[0] == '~') {
		state->is_stale = !state->is_stale;
		kube_view_set_stale(state->view, state->is_stale);
		return;
	}
	if (line.len > 0 && line.ptr[0] == '@') {
		state->now_ms += 1000;
		kube_view_pass(state->view, state->now_ms);
		return;
	}
	if (line.len > 0 && line.ptr[0] == '?') {
		ask(state, span_from(line, 1));
		return;
	}
	if (line.len < 2 || !kind_of((char)line.ptr[1], &kind))
		return;
	if (line.ptr[0] == '+' || line.ptr[0] == '-')
		change(state, (char)line.ptr[0], kind, span_from(line, 2));
	if (line.ptr[0] == '!')
		kube_view_begin(state->view, kind);
	if (line.ptr[0] == '.') {
		state->has_synced[kind] = true;
		kube_view_synced(state->view, kind);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct trust_domain domain = {"cluster.local"};
	struct state state = {0};
	struct span rest = span_of(data, len);
	struct kube_unmeshed unmeshed;
	state.view = kube_view_new(&domain, &(struct kube_view_observer){on_change, &state});
	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t line_len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
		run_line(&state, span_of(rest.ptr, line_len));
		rest = span_from(rest, end == NULL ? line_len : line_len + 1);
	}
	kube_view_unmeshed(state.view, &unmeshed);
	kube_view_free(state.view);
	return 0;
}
