/* The two ways to use the simulator (main.c): a run from a seed, and a scenario from a file. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct run_result {
    uint64_t states, full, partial, virtual_ms;
};

/* Random nodes, paths, faults; ends the process with a message and the seed when something does not hold. */
struct run_result run_random(uint64_t seed);
/* Compares the trace with what the file expects; write: puts it there instead. False: they differ (said on stdout). */
bool run_scenario(const char *path, bool write);
