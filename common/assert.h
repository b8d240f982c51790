/* Assertions that stay on in production: a bug stops the process with a report (STYLE.md, errors, kind 1).
 *
 * PANIC says in words what must not be. assert_failed() ends in the handler set by panic_set_handler()
 * (common/panic.h), which writes the crash report. */
#pragma once

_Noreturn void assert_failed(const char *expr, const char *file, int line);
_Noreturn void panic(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define ASSERT(x)                                            \
    do {                                                     \
        if (__builtin_expect(!(x), 0))                       \
            assert_failed(#x, __FILE__, __LINE__);           \
    } while (0)
#define PANIC(...) panic(__FILE__, __LINE__, __VA_ARGS__)
#define STATIC_ASSERT _Static_assert
