/* The operators' page: its token, and what it shows. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/control_private.h"
#include "control/page/page_html.h"
#include "control/page/page_policy.h"

static enum err load(struct control *control, struct why *why)
{
	struct span token;
	RETURN_IF_ERR(fd_read_private_file(
		control->config->page.token_file, control->page_token.max, &control->page_token, why));
	return page_token_read(buf_span(&control->page_token), &token, why);
}

void control_page_load(struct control *control)
{
	if (control->config->page.token_file != NULL && load(control, &control->page_trouble) != ERR_NONE)
		buf_wipe(&control->page_token);
}

void control_page_listen(struct control *control)
{
	const struct addr own = {
		.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = control->config->page.port};
	if (buf_len(&control->page_token) > 0)
		(void)!socket_listen(
			&own, &(struct socket_listen_options){0}, &control->page_fd, &control->page_trouble);
}

static enum err put_state(void *arg, struct buf *out)
{
	const struct control *control = arg;
	return serve_put_state(control->serve, out);
}

void control_page_start(struct control *control)
{
	_cleanup_(buf_done) struct buf policy = BUF_INIT(PAGE_POLICY_MAX);
	struct why why = {0};
	struct page_options options = {.loop = control->loop,
		.listening_fd = TAKE_FD(control->page_fd),
		.html = span_of(page_html, page_html_len),
		.put_state = put_state,
		.arg = control};
	if (options.listening_fd < 0)
		return;
	CHECK(control->serve != NULL && control->page == NULL);
	CHECK(page_token_read(buf_span(&control->page_token), &options.token, &why) == ERR_NONE);
	CHECK(page_policy(options.html, &policy) == ERR_NONE); /* page_html_test.c */
	options.policy = buf_cstr(&policy);
	control->page = page_new(&options);
	buf_done(&control->page_token);
	log_notice("control", "the operators' page: http://127.0.0.1:%u/", control->config->page.port);
}
