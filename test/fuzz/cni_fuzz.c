#include "base/core/check.h"
#include "intercept/cni/cni_request.h"
#include "intercept/cni/conflist.h"
#include "intercept/cni/message.h"
#include "intercept/cni/node_pods.h"
#include "test/fuzz/fuzz.h"

static void ask(struct span bytes)
{
	static const struct cni_environment add = {.command = "ADD",
		.container_id = "c",
		.netns = "/n",
		.args = "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=c"};
	_cleanup_(cni_request_done) struct cni_request request;
	_cleanup_(buf_done) struct buf out = BUF_INIT(CNI_CONFIG_MAX);
	enum cni_code code = 0;
	struct why why = {0};
	if (cni_request_parse(&add, bytes, &request, &code, &why) == ERR_NONE) {
		CHECK(request.socket[0] == '/' && request.pod.name[0] == 'b');
		CHECK(cni_result_put(&request, &out) != ERR_MALFORMED);
	} else {
		CHECK(code != 0 && why.got[0] != '\0' && why.expected[0] != '\0' && why.fix[0] != '\0');
		CHECK(cni_error_put(&request, code, &why, &out) == ERR_NONE);
	}
}

/* What was added is there: a second time changes nothing. What was removed is gone. */
static void chain(struct span bytes)
{
	static const char *const excluded[] = {"kube-system"};
	static const struct conflist_entry entry = {"/s", excluded, 1};
	_cleanup_(buf_done) struct buf added = BUF_INIT(CONFLIST_MAX), again = BUF_INIT(CONFLIST_MAX),
				       removed = BUF_INIT(CONFLIST_MAX);
	struct why why;
	if (conflist_edit(bytes, &entry, &added, &why) != ERR_NONE || buf_len(&added) == 0)
		return;
	CHECK(conflist_edit(buf_span(&added), &entry, &again, &why) == ERR_NONE && buf_len(&again) == 0);
	enum err err = conflist_edit(buf_span(&added), NULL, &removed, &why);
	CHECK(err == ERR_NONE && buf_len(&removed) > 0);
}

static void pass_on(struct span bytes)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT(MESSAGE_MAX);
	struct message_question question;
	struct message_answer answer;
	if (message_question_parse(bytes, &question) == ERR_NONE) {
		CHECK(question.pod.name[0] != '\0' && question.pod.namespace_[0] != '\0');
		CHECK(message_question_put(&question, &line) == ERR_NONE);
	}
	buf_clear(&line);
	if (message_answer_parse(bytes, &answer) == ERR_NONE)
		CHECK(message_answer_put(&answer, &line) == ERR_NONE);
}

static void know(struct span bytes)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	const struct cni_pod asked = {.namespace_ = "a", .name = "b"};
	struct node_pod_rules rules;
	struct why why;
	json_t *object = json_loadb((const char *)bytes.ptr, bytes.len, 0, NULL);
	if (node_pods_put(pods, object) == ERR_NONE) {
		if (node_pods_judge(pods, &asked, &rules, &why) == NODE_POD_NEEDS_RULES)
			CHECK(strchr(rules.exclude_inbound_ports, ' ') == NULL);
		node_pods_deleted(pods, object);
		CHECK(node_pods_judge(pods, &asked, &rules, &why) == NODE_POD_UNKNOWN);
	}
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct span all = span_of(bytes, len);
	ask(all);
	chain(all);
	pass_on(all);
	know(all);
	return 0;
}
