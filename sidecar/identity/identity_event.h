/* What happens to the workload's identity, for metrics and the list of recent failures. */
#pragma once

enum identity_event {
	IDENTITY_ATTESTED,
	IDENTITY_ATTEST_FAILED,
	IDENTITY_RENEWED,
	IDENTITY_RENEW_FAILED,
	IDENTITY_UNREACHABLE, /* the control plane could not be reached, or the connection to it ended */
	IDENTITY_SOURCE_LOST, /* the same, of the Workload API or the CA that gives the identity */
};
