/* The end of every failed assertion and panic: one report, then abort.
 *
 * A second failure, raised by the handler itself or by another thread meanwhile, must not run the
 * handler again: the first report is the one that matters. */
#include "common/assert.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/panic.h"

#define PANIC_TEXT_MAX 512 /* bytes, the NUL included */

static void write_report(const struct panic *p)
{
    char line[PANIC_TEXT_MAX + 256];
    int n = snprintf(line, sizeof line, "%s: %s (%s:%d)\n",
                     p->assertion ? "Assertion failed" : "Panic", p->text, p->file, p->line);
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nowhere left to complain */
}

static void (*_Atomic report)(const struct panic *) = write_report;

void panic_set_handler(void (*handler)(const struct panic *))
{
    atomic_store(&report, handler ? handler : write_report);
}

static _Noreturn void fail(const struct panic *p)
{
    static atomic_flag failing = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&failing)) {
        void (*handler)(const struct panic *) = atomic_load(&report);
        handler(p);
    } else {
        write_report(p);
    }
    abort();
}

_Noreturn void assert_failed(const char *expr, const char *file, int line)
{
    fail(&(struct panic){ .assertion = true, .text = expr, .file = file, .line = line });
}

_Noreturn void panic(const char *file, int line, const char *format, ...)
{
    char text[PANIC_TEXT_MAX];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    fail(&(struct panic){ .text = text, .file = file, .line = line });
}
