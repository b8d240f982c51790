/* What happens when the process finds a bug in itself: who writes the report (see common/assert.h
 * for who calls).
 *
 * The handler runs once, on the thread that failed, and should not return; when it does, or when it
 * fails itself, the process aborts. Without a handler the text goes to standard error. */
#pragma once

#include <stdbool.h>

struct panic {
    bool assertion;   /* an ASSERT, whose expression is `text`; else a PANIC with its words */
    const char *text; /* NUL-terminated, valid for the call */
    const char *file; /* where, as the compiler names it */
    int line;
};

/* NULL sets the default. The handler must get by with little: memory may be exhausted or corrupt.
 * */
void panic_set_handler(void (*handler)(const struct panic *));
