/* bench.c - libws bench: how fast a server echoes.
 *
 * First all connections are opened. Then each keeps the same number of messages
 * on their way: for each that comes back the next one goes. At the end all are
 * closed. Everything happens in one thread. */
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "client.h"
#include "command.h"
#include "histogram.h"
#include "json.h"
#include "process.h"
#include "terminal.h"

#define COMMAND "bench"

#define DEFAULT_SIZE    125
#define DEFAULT_SECONDS 5
#define MAX_SIZE        (UINT64_C(1) << 30)

/* Connections that are being opened at a time: no more than servers queue. */
#define MAX_OPENING 64

#define TICK_MS   100
#define NS_PER_MS UINT64_C(1000000)

typedef struct bench_settings {
  client_settings client;
  uint32_t connections;
  uint32_t pipeline;
  uint32_t duration;
  uint64_t size;
  bool is_text;
  bool compresses;
  bool is_json;
} bench_settings;

typedef enum phase {
  OPENING,
  RUNNING,
  CLOSING
} phase;

typedef struct bench bench;

/* One connection. */
typedef struct peer {
  bench *bench;
  ws_socket *socket;
  uint64_t begun_at;
  uint64_t *sent_at; /* Of the messages on their way, as a ring. */
  uint32_t oldest;
  bool is_open;
} peer;

struct bench {
  const bench_settings *settings;
  const char *url;
  const client *client;
  ws_loop *loop;
  ws_timer *timer;
  uint8_t *payload;
  peer *peers;
  uint64_t *sent_at; /* Of all peers. */
  size_t begun;      /* Peers that were told to connect. */
  size_t opened;
  size_t ended;
  phase phase;
  uint64_t begun_at; /* The phase. */
  uint64_t opening_ns;
  uint64_t running_ns;
  histogram opening;
  histogram latency;
  uint64_t shown_count; /* Of messages, in the last line of progress. */
  uint64_t shown_at;
  int exit_code;
};

/* -- Options --------------------------------------------------------------- */

#define FIELD(name)  offsetof(bench_settings, name)
#define CLIENT(name) offsetof(bench_settings, client.name)

static const option options[] = {
    {OPTION_HEADING, 0, NULL, 0, NULL, "Options"},
    {OPTION_COUNT, 'c', "connections", FIELD(connections), "N",
     "connections at a time (default: 1)"},
    {OPTION_SIZE, 0, "size", FIELD(size), "SIZE",
     "bytes of a message, such as 16K (default: 125)"},
    {OPTION_COUNT, 0, "pipeline", FIELD(pipeline), "N",
     "messages on their way on each connection (default: 1)"},
    {OPTION_SECONDS, 0, "seconds", FIELD(duration), "S",
     "how long (default: 5)"},
    {OPTION_FLAG, 0, "text", FIELD(is_text), NULL,
     "text messages, not binary ones"},
    {OPTION_FLAG, 0, "compression", FIELD(compresses), NULL,
     "offer permessage-deflate"},
    {OPTION_TEXT, 0, "ca", CLIENT(ca), "FILE",
     "trust the certificates in this PEM file instead of the system's"},
    {OPTION_FLAG, 'k', "insecure", CLIENT(is_insecure), NULL,
     "take any certificate of any host"},
    {OPTION_FLAG, 0, "json", FIELD(is_json), NULL,
     "print the results as one JSON object"},
};

static const command_line usage = {
    .name = COMMAND,
    .argument = "URL",
    .summary = "Measures a server that echoes, such as 'libws serve --echo': "
               "messages and bytes per second, the time a message takes there "
               "and back, and the time to connect.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

/* -- Phases ---------------------------------------------------------------- */

static void enter(bench *b, phase next) {
  const uint64_t now = clock_ns();
  const uint64_t elapsed = now - b->begun_at;
  if (b->phase == OPENING) b->opening_ns = elapsed;
  if (b->phase == RUNNING) b->running_ns = elapsed;
  b->phase = next;
  b->begun_at = now;
  b->shown_at = now;
}

static void close_all(bench *b) {
  if (b->phase == CLOSING) return;
  enter(b, CLOSING);
  ws_timer_free(b->timer);
  b->timer = NULL;
  for (size_t i = 0; i < b->begun; i++) {
    if (b->peers[i].socket == NULL) continue;
    if (b->peers[i].is_open) {
      (void)ws_socket_close(b->peers[i].socket, WS_CLOSE_NORMAL, NULL, 0);
    } else {
      ws_socket_terminate(b->peers[i].socket);
    }
  }
}

/* Only the first failure is told: the others follow from it. */
static void give_up(bench *b, int exit_code, const char *what,
                    const char *name) {
  if (b->phase == CLOSING) return;
  complain(COMMAND, "%s (%s)", what, name);
  b->exit_code = exit_code;
  close_all(b);
}

static void send_one(peer *p, uint32_t place, uint64_t now) {
  const bench_settings *const settings = p->bench->settings;
  p->sent_at[place] = now;
  const int err = ws_socket_send(
      p->socket, settings->is_text ? WS_TEXT : WS_BINARY, p->bench->payload,
      (size_t)settings->size, WS_SEND_VALID_UTF8);
  if (err != 0) {
    give_up(p->bench, EXIT_FAILED, ws_strerror(err), ws_err_name(err));
  }
}

/* Whether the time is up, or nobody wants to wait for that. */
static bool is_over(const bench *b) {
  return clock_ns() - b->begun_at >= b->settings->duration * NS_PER_MS ||
         signals_interrupts() > 0;
}

/* To compress what fills all pipelines can take longer than all of the time. */
static void start_running(bench *b) {
  const bench_settings *const settings = b->settings;
  enter(b, RUNNING);
  for (uint32_t k = 0; k < settings->pipeline; k++) {
    for (size_t i = 0; i < settings->connections; i++) {
      if (is_over(b)) close_all(b);
      if (b->phase != RUNNING) return;
      send_one(&b->peers[i], k, clock_ns());
    }
  }
}

static void begin_peers(bench *b) {
  while (b->phase == OPENING && b->begun < b->settings->connections &&
         b->begun - b->opened < MAX_OPENING) {
    peer *const p = &b->peers[b->begun];
    p->bench = b;
    p->sent_at = b->sent_at + b->begun * b->settings->pipeline;
    p->begun_at = clock_ns();
    ws_socket_options socket_options = b->client->options;
    socket_options.user_data = p;
    ws_error error;
    const int err = ws_socket_open(b->loop, b->url, strlen(b->url),
                                   &socket_options, &p->socket, &error);
    if (err != 0) {
      give_up(b, EXIT_USAGE, error.message, ws_err_name(err));
      return;
    }
    b->begun++;
  }
}

/* -- Events ---------------------------------------------------------------- */

static void on_open(ws_socket *socket, const ws_event *event) {
  peer *const p = ws_socket_user_data(socket);
  bench *const b = p->bench;
  (void)event;
  p->is_open = true;
  histogram_add(&b->opening, clock_ns() - p->begun_at);
  b->opened++;
  if (b->opened == b->settings->connections) start_running(b);
  else begin_peers(b);
}

static void on_message(ws_socket *socket, const ws_event *event) {
  peer *const p = ws_socket_user_data(socket);
  bench *const b = p->bench;
  if (b->phase != RUNNING) return;
  if (event->u.message.len != b->settings->size) {
    give_up(b, EXIT_FAILED, "what came back is not what was sent", "no echo");
    return;
  }
  const uint64_t now = clock_ns();
  histogram_add(&b->latency, now - p->sent_at[p->oldest]);
  send_one(p, p->oldest, now);
  p->oldest = p->oldest + 1 == b->settings->pipeline ? 0 : p->oldest + 1;
}

static void on_error(ws_socket *socket, const ws_event *event) {
  const peer *const p = ws_socket_user_data(socket);
  const ws_cause *const cause = &event->u.error;
  give_up(p->bench, client_exit_code(cause), cause->message,
          ws_err_name(cause->err));
}

static void on_close(ws_socket *socket, const ws_event *event) {
  peer *const p = ws_socket_user_data(socket);
  (void)event;
  p->socket = NULL;
  p->bench->ended++;
  give_up(p->bench, EXIT_FAILED, "the server has closed a connection",
          "in the middle");
}

static void show_progress(bench *b) {
  const uint64_t now = clock_ns();
  if (b->phase == OPENING) {
    progress_show("%zu of %u connections", b->opened,
                  (unsigned)b->settings->connections);
  } else {
    const double seconds = (double)(now - b->shown_at) / 1e9;
    const double rate = (double)(b->latency.count - b->shown_count) / seconds;
    progress_show("%.1f of %.1f s   %.0f messages/s",
                  (double)(now - b->begun_at) / 1e9,
                  b->settings->duration / 1e3, rate);
  }
  b->shown_at = now;
  b->shown_count = b->latency.count;
}

static void tick(void *arg) {
  bench *const b = arg;
  if (b->phase == RUNNING && is_over(b)) {
    close_all(b);
    return;
  }
  show_progress(b);
  ws_timer_set(b->timer, TICK_MS);
}

/* -- Results --------------------------------------------------------------- */

static const struct {
  const char *name;
  const char *json_name;
  double part;
} quantiles[] = {
    {"p50", "p50", 0.5},       {"p90", "p90", 0.9}, {"p99", "p99", 0.99},
    {"p99.9", "p99_9", 0.999}, {"max", "max", 1},
};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

/* A time with three digits and the unit that fits. */
static void print_time(uint64_t ns) {
  const double us = (double)ns / 1e3;
  if (us < 1e3) printf("%.*f us", us < 100 ? 1 : 0, us);
  else if (us < 1e6) printf("%.*f ms", us < 1e5 ? 1 : 0, us / 1e3);
  else printf("%.1f s", us / 1e6);
}

static void print_times(const char *name, const histogram *h) {
  printf("%-11s", name);
  for (size_t i = 0; i < QUANTILES; i++) {
    printf("%s ", quantiles[i].name);
    print_time(histogram_quantile(h, quantiles[i].part));
    printf("%s", i + 1 < QUANTILES ? "   " : "\n");
  }
}

static void print_results(const bench *b, double rate) {
  const bench_settings *const s = b->settings;
  printf("%s: %u connection%s, %llu bytes of %s%s, %u on their way, %.1f s\n\n",
         b->url, (unsigned)s->connections, s->connections == 1 ? "" : "s",
         (unsigned long long)s->size, s->is_text ? "text" : "binary",
         s->compresses ? " compressed" : "", (unsigned)s->pipeline,
         (double)b->running_ns / 1e9);
  printf("%-11s%.0f /s\n", "messages", rate);
  printf("%-11s%.1f MB/s each way\n", "data", rate * (double)s->size / 1e6);
  print_times("latency", &b->latency);
  print_times("connecting", &b->opening);
}

static void add_times(buffer *out, const char *name, const histogram *h) {
  char member[32];
  for (size_t i = 0; i < QUANTILES; i++) {
    snprintf(member, sizeof(member), "%s_%s_us", name, quantiles[i].json_name);
    json_add_number(out, member,
                    (double)histogram_quantile(h, quantiles[i].part) / 1e3);
  }
}

static void print_json(const bench *b, double rate) {
  const bench_settings *const s = b->settings;
  buffer out = {0};
  json_begin(&out);
  json_add_text(&out, "url", b->url);
  json_add_integer(&out, "connections", s->connections);
  json_add_integer(&out, "size", s->size);
  json_add_integer(&out, "pipeline", s->pipeline);
  json_add_text(&out, "type", s->is_text ? "text" : "binary");
  json_add_bool(&out, "compression", s->compresses);
  json_add_number(&out, "seconds", (double)b->running_ns / 1e9);
  json_add_integer(&out, "messages", b->latency.count);
  json_add_number(&out, "messages_per_second", rate);
  json_add_number(&out, "bytes_per_second", rate * (double)s->size);
  add_times(&out, "latency", &b->latency);
  json_add_number(&out, "connecting_all_us", (double)b->opening_ns / 1e3);
  add_times(&out, "connecting", &b->opening);
  json_end(&out);
  if (out.has_failed) complain(COMMAND, "out of memory");
  else printf("%.*s\n", (int)out.len, out.data);
  buffer_free(&out);
}

static void print(const bench *b) {
  const double seconds = (double)b->running_ns / 1e9;
  const double rate = seconds > 0 ? (double)b->latency.count / seconds : 0;
  if (b->settings->is_json) print_json(b, rate);
  else print_results(b, rate);
}

/* -- The command ----------------------------------------------------------- */

/* Binary does not compress, text does. */
static void fill_payload(uint8_t *payload, size_t size, bool is_text) {
  static const char words[] = "the quick brown fox jumps over the lazy dog; ";
  uint32_t noise = 1;
  for (size_t i = 0; i < size; i++) {
    noise = noise * 1664525 + 1013904223; /* Numerical Recipes' generator. */
    payload[i] = is_text ? (uint8_t)words[i % (sizeof(words) - 1)]
                         : (uint8_t)(noise >> 24);
  }
}

static bool allocate(bench *b) {
  const bench_settings *const s = b->settings;
  b->peers = calloc(s->connections, sizeof(*b->peers));
  b->sent_at = calloc(s->connections, s->pipeline * sizeof(*b->sent_at));
  b->payload = malloc((size_t)s->size);
  if (b->peers == NULL || b->sent_at == NULL || b->payload == NULL) {
    return false;
  }
  fill_payload(b->payload, (size_t)s->size, s->is_text);
  return true;
}

/* Ends early with the first signal, and at once with the second. */
static int measure(bench *b) {
  b->begun_at = clock_ns();
  begin_peers(b);
  while (b->ended < b->begun) {
    const int err = ws_loop_run(b->loop);
    if (err != 0) return fail(COMMAND, ws_strerror(err));
    if (signals_interrupts() > 1) return EXIT_INTERRUPTED;
    if (signals_interrupts() == 1) close_all(b);
  }
  progress_clear();
  if (b->exit_code == EXIT_OK && b->running_ns == 0) return EXIT_INTERRUPTED;
  if (b->exit_code == EXIT_OK) print(b);
  return b->exit_code;
}

static int set_up_and_measure(bench *b) {
  if (!allocate(b) || ws_timer_new(b->loop, TICK_MS, tick, b, &b->timer) != 0) {
    return fail(COMMAND, "out of memory");
  }
  return measure(b);
}

static int run(bench *b, client *c) {
  c->handlers.on_open = on_open;
  c->handlers.on_message = on_message;
  c->handlers.on_error = on_error;
  c->handlers.on_close = on_close;
  c->conn.max_send_queue = WS_UNLIMITED;
  b->client = c;

  ws_error error;
  if (ws_loop_new(NULL, &b->loop, &error) != 0)
    return fail(COMMAND, error.message);
  raise_descriptor_limit();
  signals_catch(b->loop, false);
  const int code = set_up_and_measure(b);
  signals_ignore();
  ws_loop_free(b->loop);
  free(b->peers);
  free(b->sent_at);
  free(b->payload);
  return code;
}

static int check_and_run(bench_settings *settings, const char *url) {
  if (settings->size > MAX_SIZE) {
    complain(COMMAND, "--size is at most 1G");
    return EXIT_USAGE;
  }
  settings->client.max_message = settings->size;
  settings->client.compression = settings->compresses ? SWITCH_ON : SWITCH_OFF;
  bench *const b = calloc(1, sizeof(*b)); /* Too large for the stack. */
  if (b == NULL) return fail(COMMAND, "out of memory");
  b->settings = settings;
  b->url = url;
  client c;
  int code = client_init(&c, &settings->client, COMMAND);
  if (code == EXIT_OK) {
    code = run(b, &c);
    client_free(&c);
  }
  free(b);
  return code;
}

int bench_command(int count, char *const *arguments) {
  bench_settings settings = {.connections = 1,
                             .pipeline = 1,
                             .duration = DEFAULT_SECONDS * 1000,
                             .size = DEFAULT_SIZE};
  const char *url;
  int code = EXIT_OK;
  switch (options_read(&usage, count, arguments, &settings, &url)) {
  case OPTIONS_READ: code = check_and_run(&settings, url); break;
  case OPTIONS_HELP: options_print_help(&usage, stdout); break;
  case OPTIONS_WRONG: code = EXIT_USAGE; break;
  }
  options_free(&usage, &settings);
  return code;
}
