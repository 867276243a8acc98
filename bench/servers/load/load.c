/* load.c - the load generator: reads the options and runs one mode. */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const struct mode {
  const char *name;
  void (*run)(const load_options *options);
} modes[] = {
    {"echo", load_echo},
    {"handshakes", load_handshakes},
    {"idle", load_idle},
    {"broadcast", load_broadcast},
};
#define MODE_COUNT (sizeof(modes) / sizeof(modes[0]))

static const char usage[] =
    "Usage: bench_load MODE --port PORT --pid PID [OPTION...]\n"
    "Puts load on a server at 127.0.0.1 and prints what it measured as JSON.\n"
    "\n"
    "  echo        messages there and back: how many, how late\n"
    "  handshakes  connections opened, upgraded and dropped\n"
    "  idle        what the server's memory grows by with each connection\n"
    "  broadcast   one sends, all others receive\n"
    "\n"
    "  --port PORT      of the server\n"
    "  --pid PID        of the server, for its processor time and memory\n"
    "  --raw            the server echoes bytes and knows no WebSocket\n"
    "  --tls            by TLS 1.3\n"
    "  --compression    permessage-deflate, no context kept\n"
    "  --text           messages are JSON instead of binary\n"
    "  --multibyte      messages are text of characters of 1 to 4 bytes\n"
    "  --size N         bytes of a message (125)\n"
    "  --connections N  (1)\n"
    "  --in-flight N    messages under way on each connection, 16 at most (1)\n"
    "  --warm-up S      seconds that are not measured (0.15)\n"
    "  --seconds S      seconds that are (1)\n";

enum {
  OPTION_PORT = 1,
  OPTION_PID,
  OPTION_RAW,
  OPTION_TLS,
  OPTION_COMPRESSION,
  OPTION_TEXT,
  OPTION_MULTIBYTE,
  OPTION_SIZE,
  OPTION_CONNECTIONS,
  OPTION_IN_FLIGHT,
  OPTION_WARM_UP,
  OPTION_SECONDS,
  OPTION_HELP,
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, OPTION_PORT},
    {"pid", required_argument, NULL, OPTION_PID},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"tls", no_argument, NULL, OPTION_TLS},
    {"compression", no_argument, NULL, OPTION_COMPRESSION},
    {"text", no_argument, NULL, OPTION_TEXT},
    {"multibyte", no_argument, NULL, OPTION_MULTIBYTE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
    {"warm-up", required_argument, NULL, OPTION_WARM_UP},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

void load_die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "bench_load: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  exit(1);
}

void *load_alloc(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (memory == NULL) load_die("out of memory");
  return memory;
}

uint64_t load_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t to_number(const char *text, size_t min, size_t max) {
  char *end = NULL;
  const unsigned long long number = strtoull(text, &end, 10);
  if (end == text || *end != '\0' || number < min || number > max)
    load_die("%s is not a number from %zu to %zu", text, min, max);
  return (size_t)number;
}

static double to_seconds(const char *text) {
  char *end = NULL;
  const double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds > 0 && seconds <= 3600))
    load_die("%s is not a number of seconds", text);
  return seconds;
}

static void take_option(load_options *options, int option) {
  switch (option) {
  case OPTION_PORT:
    options->port = (uint16_t)to_number(optarg, 1, UINT16_MAX);
    break;
  case OPTION_PID:
    options->server = (pid_t)to_number(optarg, 1, INT32_MAX);
    break;
  case OPTION_RAW: options->is_raw = true; break;
  case OPTION_TLS: options->is_tls = true; break;
  case OPTION_COMPRESSION: options->is_compressed = true; break;
  case OPTION_TEXT: options->material = LOAD_TEXT; break;
  case OPTION_MULTIBYTE: options->material = LOAD_MULTIBYTE; break;
  case OPTION_SIZE: options->size = to_number(optarg, 1, 1 << 24); break;
  case OPTION_CONNECTIONS:
    options->connections = to_number(optarg, 1, 1000000);
    break;
  case OPTION_IN_FLIGHT:
    options->in_flight = to_number(optarg, 1, LOAD_MAX_IN_FLIGHT);
    break;
  case OPTION_WARM_UP: options->warm_up = to_seconds(optarg); break;
  case OPTION_SECONDS: options->seconds = to_seconds(optarg); break;
  case OPTION_HELP: fputs(usage, stdout); exit(0);
  default: fputs(usage, stderr); exit(2);
  }
}

static const struct mode *find_mode(const char *name) {
  for (size_t i = 0; i < MODE_COUNT; i++)
    if (strcmp(modes[i].name, name) == 0) return &modes[i];
  return NULL;
}

static void allow_many_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit); /* Else a socket() will fail. */
}

int main(int argc, char **argv) {
  load_options options = {.size = 125,
                          .connections = 1,
                          .in_flight = 1,
                          .warm_up = 0.15,
                          .seconds = 1};
  int option;
  while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
    take_option(&options, option);

  const struct mode *mode = optind + 1 == argc ? find_mode(argv[optind]) : NULL;
  if (mode == NULL || options.port == 0 || options.server == 0) {
    fputs(usage, stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN); /* OpenSSL has no MSG_NOSIGNAL. */
  allow_many_descriptors();
  mode->run(&options);
  return 0;
}
