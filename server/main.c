/* ouro-server: reads the configuration, becomes the process that was asked for, makes the node and runs it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "server/apply.h"
#include "server/command.h"
#include "server/config.h"
#include "server/info.h"
#include "server/listeners.h"
#include "server/loop/process.h"
#include "server/node.h"
#include "server/version.h"

static struct node *node; /* for the crash report */

static void print_version(void)
{
    printf("Ouro server v=%s (Redis server v=%s compatible) malloc=%s bits=%d\n", OURO_VERSION, REDIS_VERSION,
           mem_allocator_name(), (int)sizeof(long) * 8);
}

static void print_usage(void)
{
    puts("Usage: ouro-server [/path/to/redis.conf] [options] [-]\n"
         "       ouro-server - (read config from stdin)\n"
         "       ouro-server -v or --version\n"
         "       ouro-server -h or --help\n"
         "\n"
         "Options are the directives of redis.conf with two dashes in front; they override the file.\n"
         "redis.conf.sample describes each of them.\n"
         "\n"
         "Examples:\n"
         "       ouro-server (run the server with default conf)\n"
         "       echo 'maxmemory 128mb' | ouro-server -\n"
         "       ouro-server /etc/redis/6379.conf\n"
         "       ouro-server --port 7777\n"
         "       ouro-server --port 7777 --io-backend epoll\n"
         "       ouro-server /etc/myredis.conf --loglevel verbose -\n"
         "       ouro-server /etc/myredis.conf --loglevel verbose");
}

/* Words that end the program before it is a server. */
static void answer_questions(int argc, char **argv)
{
    if (argc < 2)
        return;
    const char *word = argv[1];
    if (!strcmp(word, "-v") || !strcmp(word, "--version")) {
        print_version();
        exit(0);
    }
    if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
        print_usage();
        exit(0);
    }
}

static void refuse_sentinel(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    name = name ? name + 1 : argv[0];
    bool sentinel = strstr(name, "redis-sentinel") || strstr(name, "ouro-sentinel");
    for (int i = 1; i < argc; i++)
        sentinel |= !strcmp(argv[i], "--sentinel");
    if (!sentinel)
        return;
    fprintf(stderr, "Sentinel mode is not supported yet.\n");
    exit(1);
}

/* ---- becoming the process ---- */

static bool supervise(struct process_config *p)
{
    bool automatic = p->supervised == SUPERVISED_AUTO;
    if (p->supervised == SUPERVISED_SYSTEMD || (automatic && getenv("NOTIFY_SOCKET")))
        return process_notify_systemd("STATUS=Ouro is loading...\n");
    if (p->supervised == SUPERVISED_UPSTART || (automatic && getenv("UPSTART_JOB")))
        return process_notify_upstart();
    return false;
}

static void banner(const struct options *o, const struct config *config)
{
    log_notice("oO0OoO0OoO0Oo Ouro is starting oO0OoO0OoO0Oo");
    log_notice("Ouro version=%s, compatible with Redis version=%s, bits=%d, pid=%d, just started", OURO_VERSION,
               REDIS_VERSION, (int)sizeof(long) * 8, process_id());
    if (config_file(config))
        log_notice("Configuration loaded");
    else
        log_warning(
            "Warning: no config file specified, using the default config. In order to specify a config file use "
            "ouro-server /path/to/redis.conf");
    (void)o;
}

static void logo(const struct options *o)
{
    log_notice("Running mode=%s, port=%d. PID: %d", o->cluster.enabled ? "cluster" : "standalone", o->net.port,
               process_id());
    bool tty = o->process.logfile[0] == '\0' && process_stdout_is_tty();
    if (!o->process.always_show_logo && !tty)
        return;
    char text[512];
    snprintf(text, sizeof(text),
             "\n"
             "         .-~~~-.\n"
             "       .'  ___  `.      Ouro %s  (as Redis %s)\n"
             "      /  .'   `>~~@\n"
             "      |  |     |        Port: %d\n"
             "      \\  `.___.'        PID: %d\n"
             "       `.      .'\n"
             "         `~~~~'\n\n",
             OURO_VERSION, REDIS_VERSION, o->net.port, process_id());
    log_raw(text);
}

static void describe_for_crash(int fd)
{
    if (node)
        info_write_fd(node, fd);
}

static void install_crash_report(struct options *o, const char *pidfile)
{
    static struct crash_info info;
    info = (struct crash_info){ .version = "Ouro " OURO_VERSION " (Redis " REDIS_VERSION ")",
                                .describe = describe_for_crash,
                                .pidfile = pidfile,
                                .exit_on_panic = o->process.use_exit_on_panic };
    crash_install(&info);
    crash_enable(o->process.crash_log_enabled);
}

/* Everything between a good configuration and a node that may start. Returns the pid file's path or NULL. */
static const char *become(struct options *o, struct config *config)
{
    struct process_config *p = &o->process;
    bool supervised = supervise(p);
    if (p->daemonize && !supervised) {
        int r = process_daemonize();
        if (r < 0) {
            log_warning("Can't fork in background: %s", strerror(-r));
            exit(1);
        }
    }
    banner(o, config);
    const char *pidfile = p->pidfile[0] ? p->pidfile : p->daemonize ? "/var/run/redis.pid" : NULL;
    if (pidfile)
        process_write_pidfile(pidfile);
    if (p->disable_thp)
        process_disable_thp();
    process_unlimit_core();
    if (process_pin(p->server_cpulist) < 0)
        log_warning("Can't pin the server to the CPUs '%s'", p->server_cpulist);
    o->net.maxclients = process_raise_file_limit((int)o->net.maxclients);
    install_crash_report(o, pidfile);
    return pidfile;
}

static void announce(struct options *o)
{
    log_warning("Server initialized");
    process_check_system(o->net.tcp_backlog);
    uint64_t maxmemory = o->keyspace.maxmemory;
    if (maxmemory > 0 && maxmemory < 1024 * 1024)
        log_warning("WARNING: You specified a maxmemory value that is less than 1MB (current value is %llu bytes). Are "
                    "you sure this is what you really want?", (unsigned long long)maxmemory);
}

/* The data are loaded. */
static void announce_ready(void *ctx)
{
    struct options *o = ctx;
    if (o->net.port)
        log_notice("Ready to accept connections tcp");
    if (o->net.unixsocket && o->net.unixsocket[0])
        log_notice("Ready to accept connections unix");
    if (o->process.supervised == SUPERVISED_SYSTEMD || o->process.supervised == SUPERVISED_AUTO)
        process_notify_systemd("STATUS=Ready to accept connections\nREADY=1\n");
}

/* Runs the node until it is told to stop. */
static int serve(struct options *o, struct config *config, int argc, char **argv)
{
    config_set_owner(config, node);
    apply_oom_score(node, NULL);
    apply_watchdog(node, NULL);
    process_title_init(argc, argv);
    apply_title(node, NULL);
    logo(o);
    node_take_signals(node);
    process_catch_signals(node_request_shutdown_signal);
    announce(o);
    int r = node_run(node, announce_ready, o);
    if (o->process.supervised == SUPERVISED_SYSTEMD || o->process.supervised == SUPERVISED_AUTO)
        process_notify_systemd("STOPPING=1\n");
    return r;
}

/* Everything from the configuration to the end of the node. The exit status. */
static int run(struct options *o, struct config *config, int argc, char **argv)
{
    if (config_load(config, argc, argv) < 0)
        return 1;
    apply_at_start(o);
    int unwritable = log_probe();
    if (unwritable < 0) {
        (void)fprintf(stderr,
                      "\n*** FATAL CONFIG FILE ERROR (Redis " REDIS_VERSION ") ***\nCan't open the log file: %s\n",
                      strerror(-unwritable));
        return 1;
    }
    const char *pidfile = become(o, config);
    if (node_new(config, o, argc, argv, &node) < 0)
        return 1;
    int r = serve(o, config, argc, argv);
    if (pidfile)
        process_remove_pidfile(pidfile);
    if (r == 0)
        log_warning("Ouro is now ready to exit, bye bye...");
    node_free(node);
    return r < 0;
}

int main(int argc, char **argv)
{
    answer_questions(argc, argv);
    refuse_sentinel(argc, argv);
    process_set_executable(argv[0]);
    clock_ticks_calibrate();
    command_table_init();
    struct options *o = mem_zalloc(sizeof(*o));
    struct config *config = config_new();
    node_owner_init(o, config);
    int status = run(o, config, argc, argv);
    config_free(config);
    options_done(o);
    mem_free(o);
    command_table_done();
    return status;
}
