/* A second stack in the same thread: a plain function that can rest in the middle and go on later.
 *
 * For work that is long, written as ordinary nested calls, and must let others run in between
 * (loading a file while clients are served). Only one of the two runs at a time; switching costs
 * about a microsecond. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fiber;

/* The function starts at the first fiber_resume. */
struct fiber *fiber_new(size_t stack_bytes, void (*run)(void *ctx), void *ctx);
/* Only when it has not begun, or has returned (asserted). NULL is fine. */
void fiber_free(struct fiber *);
/* Runs it until it rests or returns; true: it rests, false: it has returned. Not from inside of a
 * fiber. */
bool fiber_resume(struct fiber *);
/* From inside: back to who called fiber_resume, until the next one. */
void fiber_rest(struct fiber *);
