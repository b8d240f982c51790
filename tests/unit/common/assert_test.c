/* Failing: the handler hears of it once, with the place; then the process aborts. */
#include "common/assert.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/panic.h"

static void exit_when_assertion(const struct panic *p)
{
    bool ok = p->assertion && strcmp(p->text, "1 + 1 == 3") == 0 &&
              strstr(p->file, "assert_test.c") && p->line > 0;
    _exit(ok ? 42 : 1);
}

Test(assert, the_handler_gets_expression_and_place, .exit_code = 42)
{
    panic_set_handler(exit_when_assertion);
    ASSERT(1 + 1 == 3);
}

static void exit_when_panic(const struct panic *p)
{
    _exit(!p->assertion && strcmp(p->text, "slot 7 of x") == 0 ? 43 : 1);
}

Test(assert, the_handler_gets_the_words_of_a_panic, .exit_code = 43)
{
    panic_set_handler(exit_when_panic);
    PANIC("slot %d of %s", 7, "x");
}

Test(assert, without_a_handler_the_process_aborts, .signal = SIGABRT)
{
    ASSERT(1 + 1 == 3);
}

static void fail_again(const struct panic *p)
{
    (void)p;
    PANIC("the handler fails, too");
}

Test(assert, a_handler_that_fails_does_not_run_again, .signal = SIGABRT)
{
    panic_set_handler(fail_again);
    PANIC("first");
}

static void come_back(const struct panic *p)
{
    (void)p;
}

Test(assert, a_handler_that_returns_does_not_save_the_process, .signal = SIGABRT)
{
    panic_set_handler(come_back);
    ASSERT(1 + 1 == 3);
}

Test(assert, what_holds_is_evaluated_once_and_does_nothing)
{
    int evaluated = 0;
    ASSERT(++evaluated == 1);
    cr_assert_eq(evaluated, 1);
}

Test(assert, long_texts_are_cut, .signal = SIGABRT)
{
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    PANIC("%s", text);
}
