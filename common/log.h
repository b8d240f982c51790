/* The server's log, in Redis' format: `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL text`, one line an entry.
 *
 * Levels print as . (debug) - (verbose) * (notice) # (warning). To stdout, unbuffered, when no file is set; a file
 * is opened, appended to and closed for each line, so that it can be rotated or appended to by others. */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING, LOG_LEVEL_NOTHING };

struct log_config {
    enum log_level level;
    const char *path;    /* "" or NULL = stdout; borrowed, must stay valid */
    bool syslog;
    const char *syslog_ident;
    int syslog_facility; /* LOG_LOCAL0 ... of syslog.h */
};

void log_configure(const struct log_config *); /* keeps a copy of the struct */
int log_probe(void);                           /* 0, or -errno: the file cannot be written */
void log_set_role(char role);                  /* M master, S replica, C child, X sentinel */
bool log_enabled(enum log_level);
void log_write(enum log_level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes as they are, no header, no formatting; async-signal-safe: for the crash report. */
void log_raw(const char *text);
int log_raw_fd(void); /* descriptor the crash report goes to (opened on demand, async-signal-safe) */

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
