/* For tests: what a process that has entered a role may do, tried in a child. The acts are what attacks need, and what
 * the programs do; each ends the child with CHILD_WRONG where it fails in another way than by the filter. */
#pragma once

#include "base/sandbox/sandbox.h"

enum { CHILD_FINE = 0, CHILD_WITHOUT_FILTER = 7, CHILD_WRONG = 8 };

typedef void act_fn(void);

int sandbox_status_of(
	enum sandbox_role role, act_fn *act); /* the wait status of a child that enters the role and acts */
void assert_fine(enum sandbox_role role, act_fn *act);
void assert_killed(enum sandbox_role role, act_fn *act);  /* by SIGSYS */
void assert_missing(enum sandbox_role role, act_fn *act); /* an act that ends the child with its errno: ENOSYS */

void act_run_another_program(void);
void act_fork_a_process(void);
void act_inspect_a_process(void);
void act_make_a_namespace(void);
void act_load_a_program_into_the_kernel(void);
void act_queue_calls_past_the_filter(void);
void act_make_a_file_of_memory(void);
void act_map_code(void);
void act_change_user(void);
void act_end_another_process_by_its_thread(void);
void act_limit_another_process(void);
void act_read_another_process(void);
void act_take_a_descriptor_of_another_process(void);
void act_inject_input(void);
void act_open_a_raw_socket(void);
void act_listen_to_the_wire(void);
void act_enter_a_namespace(void);
void act_mount_a_folder(void);
void act_open_a_socket(void);
void act_wait_for_events(void);
void act_start_a_thread(void);
void act_read_a_file(void);
void act_start_a_program(void);
void act_share_and_lock_memory(void);
