/* The plugin: one command of a container runtime, from the environment and standard input. Returns the exit code. */
#pragma once

int plugin_run(void);
