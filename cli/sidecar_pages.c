/* certs, why: pages of the sidecar on this machine. */
#include "base/core/escape.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/show.h"
#include <stdio.h>
#include <time.h>

#define TEXT_MAX 1024

/* --- check --- */

static void print_condition(const json_t *condition)
{
	char name[TEXT_MAX], level[64], detail[TEXT_MAX], fix[TEXT_MAX];
	show_text(condition, "detail", detail, sizeof detail);
	show_text(condition, "fix", fix, sizeof fix);
	printf("  %-9s %s%s%s%s%s\n", show_text(condition, "level", level, sizeof level),
		show_text(condition, "name", name, sizeof name), detail[0] == '\0' ? "" : ": ", detail,
		fix[0] == '\0' ? "" : "; ", fix);
}

static void print_ports(const json_t *lists, const char *key, const char *what)
{
	const json_t *ports = json_object_get(lists, key);
	if (json_array_size(ports) == 0)
		return;
	printf("%s:", what);
	for (size_t i = 0; i < json_array_size(ports); i++)
		printf(" %lld", (long long)json_integer_value(json_array_get(ports, i)));
	putchar('\n');
}

static void print_formers(const json_t *formers)
{
	for (size_t i = 0; i < json_array_size(formers); i++) {
		const json_t *one = json_array_get(formers, i);
		long long num = (long long)json_integer_value(json_object_get(one, "connections"));
		char until[64];
		printf("former process %lld serves %lld connection%s, until %s at the latest\n",
			(long long)json_integer_value(json_object_get(one, "pid")), num, num == 1 ? "" : "s",
			show_text(one, "until", until, sizeof until));
	}
}

void page_print_check(const json_t *page)
{
	const json_t *conditions = json_object_get(page, "conditions");
	const json_t *ports = json_object_get(page, "inbound_ports");
	puts(json_is_true(json_object_get(page, "ready")) ? "ready" : "not ready");
	for (size_t i = 0; i < json_array_size(conditions); i++)
		print_condition(json_array_get(conditions, i));
	const json_t *warnings = json_object_get(page, "policy_warnings");
	for (size_t i = 0; i < json_array_size(warnings); i++) {
		char text[TEXT_MAX];
		const char *warning = json_string_value(json_array_get(warnings, i));
		(void)escape_ascii(span_of_str(warning == NULL ? "" : warning), text, sizeof text);
		printf("  warning   policy: %s\n", text);
	}
	print_formers(json_object_get(page, "former_processes"));
	print_ports(ports, "ready_for_strict", "ports with connections from the mesh only, ready for strict");
	print_ports(ports, "plaintext_seen", "ports with plaintext connections");
	print_ports(ports, "strict", "strict ports with connections");
}

/* --- certs --- */

/* An SVID has no subject (X509-SVID 4.1): its name is the SPIFFE ID. */
static void print_certificates(const json_t *list, const char *what, const char *id)
{
	char subject[TEXT_MAX], until[64], hash[80];
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		bool is_svid = i == 0 && id != NULL;
		show_text(one, "subject", subject, sizeof subject);
		printf("  %s %s until %s, SHA-256 %s\n", what, is_svid ? id : subject,
			show_text(one, "not_after", until, sizeof until), show_text(one, "sha256", hash, sizeof hash));
	}
}

/* Release 0.1 has no `time_to_expiry_seconds`. */
static long long left_s_of(const json_t *identity)
{
	const json_t *left = json_object_get(identity, "time_to_expiry_seconds");
	char until[64];
	int64_t until_s;
	if (left != NULL)
		return json_integer_value(left);
	return date_parse(show_text(identity, "not_after", until, sizeof until), &until_s) ? until_s - time(NULL) : 0;
}

void page_print_identity(const json_t *page)
{
	char text[TEXT_MAX], until[64];
	const json_t *identity = json_object_get(page, "identity");
	long long left_s = left_s_of(identity);
	if (!json_is_object(identity)) {
		puts("no identity yet");
		return;
	}
	show_text(identity, "id", text, sizeof text);
	show_text(identity, "not_after", until, sizeof until);
	if (left_s <= 0)
		printf("%s, EXPIRED at %s\n", text, until);
	else
		printf("%s, %s until %s (%lld s)\n", text,
			json_is_true(json_object_get(identity, "valid")) ? "valid" : "NOT VALID YET, and then", until,
			left_s);
}

static void print_certs(const json_t *page)
{
	char text[TEXT_MAX];
	const json_t *identity = json_object_get(page, "identity"), *bundles = json_object_get(page, "bundles");
	page_print_identity(page);
	print_certificates(
		json_object_get(identity, "chain"), "certificate", show_text(identity, "id", text, sizeof text));
	for (size_t i = 0; i < json_array_size(bundles); i++) {
		const json_t *bundle = json_array_get(bundles, i);
		printf("trust domain %s\n", show_text(bundle, "trust_domain", text, sizeof text));
		print_certificates(json_object_get(bundle, "roots"), "root", NULL);
	}
}

enum cli_exit command_certs(struct command_line *line)
{
	return page_show(line, "/certs", print_certs);
}

/* --- why --- */

static void print_after(const char *before, const char *text)
{
	if (text[0] != '\0')
		printf("%s%s", before, text);
}

/* Whether the remote address is one that this sidecar dials: the control plane's, or an outbound tunnel's or
 * endpoint's.
 */
static bool is_dialed(const char *what, const char *direction)
{
	bool is_further = strcmp(what, "tunnel") == 0 || strcmp(what, "endpoint") == 0;
	return direction[0] == '\0' || (is_further && strcmp(direction, "outbound") == 0);
}

static void print_failure(const json_t *failure)
{
	static const char *const keys[] = {
		"last", "what", "direction", "reason", "remote", "destination", "expected", "got", "fix"};
	char texts[sizeof keys / sizeof keys[0]][TEXT_MAX];
	long long times = json_integer_value(json_object_get(failure, "times"));
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		show_text(failure, keys[i], texts[i], TEXT_MAX);
	printf("%s %s", texts[0], texts[1]);
	print_after(" ", texts[2]);
	print_after(" ", texts[3]);
	print_after(is_dialed(texts[1], texts[2]) ? " at " : " from ", texts[4]);
	print_after(" to ", texts[5]);
	printf(" (%lld %s)\n", times, times == 1 ? "time" : "times");
	printf("    %s; expected: %s; fix: %s\n", texts[7], texts[6], texts[8]);
}

static void print_failures(const json_t *page)
{
	const json_t *failures = json_object_get(page, "failures");
	long long num_left_out = show_number(page, "num_left_out");
	for (size_t i = 0; i < json_array_size(failures); i++)
		print_failure(json_array_get(failures, i));
	if (json_array_size(failures) == 0)
		puts("no failures");
	if (num_left_out > 0)
		printf("%lld earlier failures have given way to these; the log has them\n", num_left_out);
}

enum cli_exit command_why(struct command_line *line)
{
	return page_show(line, "/why", print_failures);
}
