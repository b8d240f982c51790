/* The process around the node (see process.h). */
#include "server/loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "server/io.h"

extern char **environ;

int process_daemonize(void)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0)
        _exit(0);
    setsid();
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    return 0;
}

void process_write_pidfile(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        log_warning("Failed to write PID file: %s", strerror(errno));
        return;
    }
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
}

void process_remove_pidfile(const char *path)
{
    log_notice("Removing the pid file.");
    unlink(path);
}

bool process_notify_systemd(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '@' && path[0] != '/') || strlen(path) >= sizeof(sa.sun_path))
        return false;
    memcpy(sa.sun_path, path, strlen(path));
    if (path[0] == '@')
        sa.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ssize_t r = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa, len);
    if (r < 0)
        log_warning("Can't send notification to systemd: %s", strerror(errno));
    close(fd);
    return r >= 0;
}

bool process_notify_upstart(void)
{
    if (!getenv("UPSTART_JOB"))
        return false;
    log_notice("supervised by upstart, will stop to signal readiness");
    raise(SIGSTOP);
    unsetenv("UPSTART_JOB");
    return true;
}

int process_raise_file_limit(int maxclients)
{
    enum { RESERVED = 32 }; /* log, config, listeners, ring, files of our own */
    rlim_t want = (rlim_t)maxclients + RESERVED;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        log_warning("Unable to obtain the current NOFILE limit (%s), assuming 1024 and setting the max clients "
                    "configuration accordingly.", strerror(errno));
        return 1024 - RESERVED;
    }
    if (limit.rlim_cur >= want)
        return maxclients;
    rlim_t before = limit.rlim_cur, best = want;
    struct rlimit ask = { want, limit.rlim_max > want ? limit.rlim_max : want };
    if (setrlimit(RLIMIT_NOFILE, &ask) < 0) { /* not allowed, or over the kernel's own: as far as the hard limit */
        best = limit.rlim_max > before && limit.rlim_max < want ? limit.rlim_max : before;
        ask = (struct rlimit){ best, limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &ask) < 0)
            best = before;
    }
    if (best >= want) {
        log_notice("Increased maximum number of open files to %llu (it was originally set to %llu).",
                   (unsigned long long)want, (unsigned long long)before);
        return maxclients;
    }
    if (best <= RESERVED) { /* only at start: later the limit is never lowered */
        log_warning("Your current 'ulimit -n' of %llu is not enough for the server to start. Please increase your open "
                    "file limit to at least %llu. Exiting.", (unsigned long long)before, (unsigned long long)want);
        exit(1);
    }
    int fit = (int)(best - RESERVED);
    log_warning("You requested maxclients of %d requiring at least %llu max file descriptors.", maxclients,
                (unsigned long long)want);
    log_warning("Server can't set maximum open files to %llu because of OS error: Operation not permitted.",
                (unsigned long long)want);
    log_warning(
        "Current maximum open files is %llu. maxclients has been reduced to %d to compensate for low ulimit. If "
        "you need higher maxclients increase 'ulimit -n'.",
        (unsigned long long)best, fit);
    return fit;
}

void process_unlimit_core(void)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
    if (setrlimit(RLIMIT_CORE, &limit) < 0 && getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_CORE, &limit);
    }
}

/* ---- title ---- */

static char *title_begin;
static size_t title_size;

void process_title_init(int argc, char **argv)
{
    /* The kernel shows the memory of argv and, behind it, of the environment; that moves elsewhere first. */
    char *end = argv[0];
    for (int i = 0; i < argc; i++)
        if (argv[i] == end)
            end = argv[i] + strlen(argv[i]) + 1;
    for (int i = 0; environ[i]; i++)
        if (environ[i] == end)
            end = environ[i] + strlen(environ[i]) + 1;
    int n = 0;
    while (environ[n])
        n++;
    char **copy = malloc((size_t)(n + 1) * sizeof(*copy));
    if (!copy)
        return;
    for (int i = 0; i < n; i++)
        copy[i] = strdup(environ[i]);
    copy[n] = NULL;
    environ = copy;
    title_begin = argv[0];
    title_size = (size_t)(end - argv[0]);
}

void process_title_set(const char *title)
{
    if (!title_begin || title_size < 2)
        return;
    size_t n = strlen(title);
    n = n < title_size - 1 ? n : title_size - 1;
    memcpy(title_begin, title, n);
    memset(title_begin + n, 0, title_size - n);
}

/* ---- the system ---- */

int process_oom_score_adj(int value)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", value);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, (size_t)n) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static int read_small(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, size - 1);
    int r = n < 0 ? -errno : 0;
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return r;
}

bool process_disable_thp(void)
{
    char mode[64];
    if (read_small("/sys/kernel/mm/transparent_hugepage/enabled", mode, sizeof(mode)) < 0 || !strstr(mode, "[always]"))
        return true; /* nobody gets them unasked */
    const unsigned long except_advised = 1 << 1; /* Linux 6.18: those who ask (slabs) still do */
    return prctl(PR_SET_THP_DISABLE, 1, except_advised, 0, 0) == 0 || prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0;
}

int process_oom_score_adj_read(int *ret_value)
{
    char text[32];
    int r = read_small("/proc/self/oom_score_adj", text, sizeof(text));
    if (r == 0)
        *ret_value = atoi(text);
    return r;
}

int process_pin(const char *cpulist)
{
    if (!cpulist || !*cpulist)
        return 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const char *s = cpulist; *s;) {
        char *end;
        long from = strtol(s, &end, 10), to = from, step = 1;
        if (end == s || from < 0)
            return -EINVAL;
        if (*end == '-') {
            to = strtol(s = end + 1, &end, 10);
            if (end == s)
                return -EINVAL;
            if (*end == ':') {
                step = strtol(s = end + 1, &end, 10);
                if (end == s || step <= 0)
                    return -EINVAL;
            }
        }
        for (long i = from; i <= to && i < CPU_SETSIZE; i += step)
            CPU_SET((size_t)i, &set);
        if (*end && *end != ',')
            return -EINVAL;
        s = *end ? end + 1 : end;
    }
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

long process_memory_total(void)
{
    return sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

void process_check_system(int backlog)
{
    char text[256];
    if (read_small("/proc/sys/vm/overcommit_memory", text, sizeof(text)) == 0 && atoi(text) != 1)
        log_warning("WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail "
                    "under low memory condition. To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf "
                    "and then reboot or run the command 'sysctl vm.overcommit_memory=1' for this to take effect.");
    if (read_small("/proc/sys/net/core/somaxconn", text, sizeof(text)) == 0 && atoi(text) > 0 && atoi(text) < backlog)
        log_warning("WARNING: The TCP backlog setting of %d cannot be enforced because /proc/sys/net/core/somaxconn is "
                    "set to the lower value of %d.", backlog, atoi(text));
}

/* ---- signals ---- */

static void (*on_stop)(int signo);

static void stop_handler(int signo)
{
    on_stop(signo);
}

void process_catch_signals(void (*stop)(int signo))
{
    on_stop = stop;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a file that grows past the limit is an error of the write */
    struct sigaction act = { .sa_handler = stop_handler };
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
}

/* ---- figures for INFO ---- */

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void process_usage_get(struct process_usage *u)
{
    struct rusage self, children, thread;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread);
    *u = (struct process_usage){ seconds(self.ru_utime),     seconds(self.ru_stime),   seconds(children.ru_utime),
                                 seconds(children.ru_stime), seconds(thread.ru_utime), seconds(thread.ru_stime) };
}

unsigned long long process_rss(void)
{
    char text[256];
    unsigned long long size, resident;
    if (read_small("/proc/self/statm", text, sizeof(text)) < 0 || sscanf(text, "%llu %llu", &size, &resident) != 2)
        return 0;
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

unsigned long long process_private_dirty(void)
{
    char line[256];
    unsigned long long kib, sum = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Private_Dirty: %llu kB", &kib) == 1)
            sum += kib * 1024;
    if (f)
        fclose(f);
    return sum;
}

const char *process_os(void)
{
    static char text[256];
    struct utsname name;
    if (text[0] == '\0' && uname(&name) == 0)
        snprintf(text, sizeof(text), "%.80s %.80s %.80s", name.sysname, name.release, name.machine);
    return text;
}

int process_id(void)
{
    return (int)getpid();
}

bool process_stdout_is_tty(void)
{
    return isatty(STDOUT_FILENO);
}

void process_write(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t r = write(fd, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return;
        p += r;
        n -= (size_t)r;
    }
}

void process_sleep(double seconds)
{
    if (!(seconds > 0))
        return;
    const double longest = 1e9; /* some thirty years */
    seconds = seconds < longest ? seconds : longest;
    struct timespec t = { .tv_sec = (time_t)seconds };
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        continue;
}

static char executable[4096];

void process_set_executable(const char *argv0)
{
    char cwd[2048];
    if (argv0[0] == '/')
        snprintf(executable, sizeof(executable), "%s", argv0);
    else if (getcwd(cwd, sizeof(cwd)))
        snprintf(executable, sizeof(executable), "%s/%s", cwd, argv0);
}

const char *process_executable(void)
{
    return executable;
}
