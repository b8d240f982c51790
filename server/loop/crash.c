/* The crash report: what the process says when it finds a bug in itself or is hit by a fatal signal.
 *
 * The texts that operators and test suites look for are Redis': "=== REDIS BUG REPORT START", "crashed by signal",
 * "ASSERTION FAILED", "Guru Meditation", "STACK TRACE". Everything goes through log_raw, without allocation; what may
 * itself fail (the node's description) comes last, with a second fault ending the process at once. */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/log.h"
#include "common/panic.h"
#include "server/loop/process.h"

enum { TRACE_MAX = 100 };

static struct crash_info info;
static volatile sig_atomic_t reporting; /* a report is under way: faults in it end the process */
static bool enabled = true;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    log_raw(line);
}

static void *instruction_of(void *context)
{
#if defined(__x86_64__)
    return context ? (void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] : NULL;
#elif defined(__aarch64__)
    return context ? (void *)((ucontext_t *)context)->uc_mcontext.pc : NULL;
#else
    (void)context;
    return NULL;
#endif
}

static void stack_trace(void *context)
{
    void *frames[TRACE_MAX];
    log_raw("\n------ STACK TRACE ------\n");
    void *at = instruction_of(context);
    if (at) {
        log_raw("EIP:\n");
        backtrace_symbols_fd(&at, 1, log_raw_fd());
    }
    log_raw("\nBacktrace:\n");
    int n = backtrace(frames, TRACE_MAX);
    backtrace_symbols_fd(frames, n, log_raw_fd());
}

static void registers(void *context)
{
#if defined(__x86_64__)
    static const struct { const char *name; int reg; } regs[] = {
        { "RAX", REG_RAX }, { "RBX", REG_RBX }, { "RCX", REG_RCX }, { "RDX", REG_RDX }, { "RDI", REG_RDI },
        { "RSI", REG_RSI }, { "RBP", REG_RBP }, { "RSP", REG_RSP }, { "R8", REG_R8 },   { "R9", REG_R9 },
        { "R10", REG_R10 }, { "R11", REG_R11 }, { "R12", REG_R12 }, { "R13", REG_R13 }, { "R14", REG_R14 },
        { "R15", REG_R15 }, { "RIP", REG_RIP }, { "EFL", REG_EFL },
    };
    log_raw("\n------ REGISTERS ------\n");
    const ucontext_t *uc = context;
    for (size_t i = 0; i < sizeof(regs) / sizeof(*regs); i++)
        say("%s:%016llx%s", regs[i].name, (unsigned long long)uc->uc_mcontext.gregs[regs[i].reg],
            i % 4 == 3 ? "\n" : " ");
    log_raw("\n");
#else
    (void)context;
#endif
}

static void begin_report(void)
{
    log_raw("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n");
    say("%d:M # %s crashed\n", (int)getpid(), info.version);
}

static void end_report(void)
{
    if (info.describe) {
        log_raw("\n------ STATE OF THE NODE ------\n");
        info.describe(log_raw_fd());
    }
    log_raw("\n=== REDIS BUG REPORT END. ===\n\n"
            "       Please report the crash with everything between the two lines to the project's issue tracker.\n\n");
    if (info.pidfile)
        unlink(info.pidfile);
}

/* Lets the signal do what it would have done without us: core dump and exit status as expected. */
static void die_by(int signo)
{
    struct sigaction def = { .sa_handler = SIG_DFL, .sa_flags = SA_NODEFER | SA_RESETHAND };
    sigaction(signo, &def, NULL);
    kill(getpid(), signo);
    _exit(1);
}

static void on_fatal(int signo, siginfo_t *si, void *context)
{
    if (reporting || !enabled)
        die_by(signo);
    reporting = 1;
    begin_report();
    say("%d:M # crashed by signal: %d, si_code: %d\n", (int)getpid(), signo, si->si_code);
    if (signo == SIGSEGV || signo == SIGBUS)
        say("%d:M # Accessing address: %p\n", (int)getpid(), si->si_addr);
    if (si->si_code <= 0 && si->si_pid)
        say("%d:M # Killed by PID: %ld, UID: %d\n", (int)getpid(), (long)si->si_pid, (int)si->si_uid);
    stack_trace(context);
    registers(context);
    end_report();
    die_by(signo);
}

static void on_panic(const struct panic *p)
{
    if (reporting)
        _exit(1);
    reporting = 1;
    if (enabled) {
        begin_report();
        if (p->assertion) {
            say("%d:M # === ASSERTION FAILED ===\n", (int)getpid());
            say("%d:M # ==> %s:%d '%s' is not true\n", (int)getpid(), p->file, p->line, p->text);
        } else {
            say("%d:M # ------------------------------------------------\n", (int)getpid());
            say("%d:M # !!! Software Failure. Press left mouse button to continue\n", (int)getpid());
            say("%d:M # Guru Meditation: %s #%s:%d\n", (int)getpid(), p->text, p->file, p->line);
            say("%d:M # ------------------------------------------------\n", (int)getpid());
        }
        stack_trace(NULL);
        end_report();
    }
    if (info.exit_on_panic)
        _exit(1);
    die_by(SIGABRT);
}

void crash_install(const struct crash_info *given)
{
    info = *given;
    void *warm[1];
    backtrace(warm, 1); /* loads the unwinder now, not in a signal handler */
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    struct sigaction act = { .sa_sigaction = on_fatal, .sa_flags = SA_NODEFER | SA_SIGINFO };
#if !defined(__SANITIZE_ADDRESS__)
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &act, NULL);
#else
    sigaction(SIGABRT, &act, NULL);
    (void)signals;
#endif
    panic_set_handler(on_panic);
}

void crash_enable(bool on)
{
    enabled = on;
}

void crash_forked(void)
{
    info.pidfile = NULL;
}

/* ---- watchdog ---- */

static int watchdog_ms;

static void on_watchdog(int signo, siginfo_t *si, void *context)
{
    (void)signo;
    (void)si;
    int saved = errno;
    say("\n--- WATCHDOG TIMER EXPIRED ---\n");
    stack_trace(context);
    say("--------\n\n");
    errno = saved;
}

static void arm(int ms)
{
    struct itimerval t = { .it_value = { ms / 1000, (ms % 1000) * 1000 } };
    setitimer(ITIMER_REAL, &t, NULL);
}

void crash_watchdog(int period_ms)
{
    if (period_ms && !watchdog_ms) {
        struct sigaction act = { .sa_sigaction = on_watchdog, .sa_flags = SA_SIGINFO | SA_RESTART };
        sigaction(SIGALRM, &act, NULL);
    }
    watchdog_ms = period_ms;
    arm(period_ms);
}

void crash_watchdog_pet(void)
{
    if (watchdog_ms)
        arm(watchdog_ms);
}
