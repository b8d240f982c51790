/* The process around the node: becoming a daemon, pid file, supervision, limits, signals, title, crash report.
 *
 * System calls that have nothing to do with events; main.c calls them in order. All log what fails. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

int process_daemonize(void);                       /* in the child: 0; the parent has exited; -errno */
void process_write_pidfile(const char *path);
void process_remove_pidfile(const char *path);
/* Tells the supervisor (systemd's NOTIFY_SOCKET, upstart) a state: "READY=1\nSTATUS=...\n". True when there was one. */
bool process_notify_systemd(const char *state);
bool process_notify_upstart(void);                 /* raises SIGSTOP as upstart expects */
/* Raises the limit of open files for `maxclients` clients and 32 of our own. Returns how many clients fit. */
int process_raise_file_limit(int maxclients);
void process_unlimit_core(void);
bool process_disable_thp(void); /* no huge pages but where they are asked for; see common/slab.c */
/* Takes argv's memory for the title; title_set writes it, cut to what fits. */
void process_title_init(int argc, char **argv);
void process_title_set(const char *title);
int process_oom_score_adj(int value);              /* 0 or -errno */
int process_oom_score_adj_read(int *ret_value);
int process_pin(const char *cpulist);              /* "0,2-4"; "" = leave; 0 or -EINVAL/-errno */
long process_memory_total(void);                   /* bytes of physical memory */
/* Warnings about the system as Redis prints at start: overcommit, THP, somaxconn below `backlog`. */
void process_check_system(int backlog);

/* SIGTERM and SIGINT call `stop` (async-signal-safe); SIGHUP, SIGPIPE and SIGXFSZ are ignored. */
void process_catch_signals(void (*stop)(int signo));

/* ---- crash report (crash.c) ---- */
struct crash_info {
    const char *version;                /* first lines of the report */
    void (*describe)(int fd);           /* INFO, clients, current command, ... to fd; may fail itself */
    const char *pidfile;
    bool exit_on_panic;                 /* use-exit-on-panic: exit(1) instead of the signal */
};
void crash_install(
    const struct crash_info *); /* keeps a copy; catches SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT and panics */
void crash_enable(bool on);                    /* crash-log-enabled */
void crash_watchdog(int period_ms); /* logs a stack trace when the loop does not call crash_watchdog_pet; 0 off */
void crash_watchdog_pet(void);
void crash_forked(void); /* in a child: the pid file is not its own */

/* ---- figures for INFO ---- */
struct process_usage {
    double user_s, sys_s, user_children_s, sys_children_s, user_thread_s, sys_thread_s;
};
void process_usage_get(struct process_usage *ret_usage);
unsigned long long process_rss(void);          /* bytes resident */
/* Bytes of memory that are this process's own copy: in a child, what was copied since the fork. Takes the longer the
 * more memory there is. */
unsigned long long process_private_dirty(void);
const char *process_os(void);                  /* "Linux 6.1.0 x86_64" */
int process_id(void);
bool process_stdout_is_tty(void);
void process_write(int fd, const char *p, size_t n); /* all of it, or as much as goes */
void process_sleep(double seconds);            /* blocks the loop: DEBUG SLEEP; below 0 and NaN: not at all */
const char *process_executable(void);          /* absolute path of the program, as it was started */
void process_set_executable(const char *argv0);
