/* Explains an answer of the API server that is not a success, by its Status object, so that an operator knows what to
 * do: which rule of RBAC is missing, which definition is not installed. Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

/* status: of HTTP, not 2xx. path: of the request, such as "/api/v1/namespaces/shop/pods?watch=1". verbs: of RBAC, as in
 * a rule: "\"list\", \"watch\"". ERR_DENIED (401, 403), ERR_NOT_FOUND (404, 410), ERR_CONFLICT (409), ERR_UNSUPPORTED
 * (400, 406, 415, 422), ERR_LIMIT (429), else ERR_UNAVAILABLE. */
enum err kube_status_explain(unsigned status, struct span body, const char *path, const char *verbs, struct why *why);
