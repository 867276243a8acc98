/* For nftw(). */
#define _XOPEN_SOURCE 700

#include "net_fixture.h"

#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/socket.h"
#include "io/clock.h"
#include "proto/proxy.h"
#include "raw_peer.h"

net_kind net_as_client = {WS_ROLE_CLIENT, NULL};
net_kind net_as_server = {WS_ROLE_SERVER, NULL};
net_kind net_on_epoll = {WS_ROLE_CLIENT, "epoll"};
net_kind net_on_kqueue = {WS_ROLE_CLIENT, "kqueue"};
net_kind net_on_poll = {WS_ROLE_CLIENT, "poll"};

enum {
  /* Smaller than the defaults, so that more is cut, and less to be made. */
  RECEIVE_BUFFER = 32768,
  SEND_BUFFER = 16384,
  MAX_DESCRIPTORS = 256, /* That a test can have. */
  /* Holds some of the large packets that a loopback device has. */
  SYSTEM_BUFFER = 131072
};

/* -- The log --------------------------------------------------------------- */

/* Messages up to this length are shown whole. */
#define MAX_SHOWN 64

static void add_text(transcript *log, const uint8_t *data, size_t len) {
  for (size_t i = 0; i < len; i++) {
    const bool is_plain = data[i] >= ' ' && data[i] < 0x7F;
    transcript_add(log, is_plain ? "%c" : "\\x%02X", data[i]);
  }
}

static void add_bytes(transcript *log, const uint8_t *data, size_t len) {
  for (size_t i = 0; i < len; i++)
    transcript_add(log, " %02X", data[i]);
}

static void log_message(transcript *log, const ws_event *event) {
  const uint8_t *data = event->u.message.data;
  const size_t len = event->u.message.len;
  const bool is_text = event->u.message.type == WS_TEXT;
  transcript_add(log, is_text ? "text" : "binary");
  if (!event->u.message.is_last) transcript_add(log, "+"); /* More comes. */
  if (len > MAX_SHOWN) {
    transcript_add(log, " of %zu", len);
  } else if (is_text) {
    transcript_add(log, " ");
    add_text(log, data, len);
  } else {
    add_bytes(log, data, len);
  }
}

static void log_close(transcript *log, const ws_event *event) {
  transcript_add(log, "close %u %s", event->u.close.code,
                 event->u.close.was_clean ? "clean" : "unclean");
  if (event->u.close.reason_len == 0) return;
  transcript_add(log, " ");
  add_text(log, (const uint8_t *)event->u.close.reason,
           event->u.close.reason_len);
}

static void log_event(transcript *log, const ws_event *event) {
  if (log->len > 0) transcript_add(log, ", ");
  switch (event->type) {
  case WS_EVENT_REQUEST:
    transcript_add(log, "%s %s %s",
                   event->u.request->is_upgrade ? "upgrade" : "request",
                   event->u.request->method, event->u.request->target);
    return;
  case WS_EVENT_OPEN: transcript_add(log, "open"); return;
  case WS_EVENT_MESSAGE: log_message(log, event); return;
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
    transcript_add(log, event->type == WS_EVENT_PING ? "ping" : "pong");
    add_bytes(log, event->u.control.data, event->u.control.len);
    return;
  case WS_EVENT_DRAIN: transcript_add(log, "drain"); return;
  case WS_EVENT_ERROR:
    transcript_add(log, "error %s", ws_err_name(event->u.error.err));
    return;
  case WS_EVENT_CLOSE: log_close(log, event); return;
  case WS_EVENT_RECONNECT:
    transcript_add(log, "reconnect %u", (unsigned)event->reconnect.attempt);
    return;
  case WS_EVENT_SERVER_ERROR:
    transcript_add(log, "server-error %s", ws_err_name(event->u.error.err));
    return;
  case WS_EVENT_SERVER_CLOSE: transcript_add(log, "server-close"); return;
  case WS_EVENT_TIMER: transcript_add(log, "timer"); return;
  case WS_EVENT_TASK: transcript_add(log, "task"); return;
  }
  fail_msg("event %d is none", (int)event->type);
}

void net_assert_log(transcript *log, const char *expected, const char *file,
                    int line) {
  if (strcmp(transcript_text(log), expected) != 0) {
    print_error("expected: %s\nhappened: %s\n", expected, transcript_text(log));
    _fail(file, line);
  }
  transcript_clear(log);
}

void assert_last_message(const net_end *end, const void *data, size_t len) {
  assert_int_equal(end->message_len, len);
  assert_memory_equal(end->message, data, len);
}

void assert_cause(const net_end *end, ws_err err, ws_side side,
                  uint16_t close_code) {
  assert_string_equal(ws_err_name(end->cause.err), ws_err_name(err));
  assert_int_equal(end->cause.side, side);
  assert_int_equal(end->cause.close_code, close_code);
  assert_string_not_equal(end->cause_text, "");
}

/* -- What holds for every event -------------------------------------------- */

static void check_order(const net_end *end, ws_event_type type) {
  assert_false(end->is_over);
  if (end->last_type == WS_EVENT_ERROR) assert_int_equal(type, WS_EVENT_CLOSE);
  switch (type) {
  case WS_EVENT_REQUEST:
  case WS_EVENT_OPEN: assert_false(end->is_open); return;
  case WS_EVENT_MESSAGE:
  case WS_EVENT_PING:
  case WS_EVENT_PONG: assert_true(end->is_open); return;
  default: return;
  }
}

/* Rows 105, 108, 124; and the loop is there, to open another socket in. */
static void check_state(const net_end *end, ws_event_type type) {
  assert_non_null(ws_socket_loop(end->socket));
  const ws_state state = ws_socket_ready_state(end->socket);
  switch (type) {
  case WS_EVENT_REQUEST:
  case WS_EVENT_RECONNECT: assert_int_equal(state, WS_STATE_CONNECTING); return;
  case WS_EVENT_OPEN:
  case WS_EVENT_MESSAGE: assert_int_equal(state, WS_STATE_OPEN); return;
  case WS_EVENT_ERROR:
  case WS_EVENT_CLOSE: assert_int_equal(state, WS_STATE_CLOSED); return;
  default: return;
  }
}

static void keep_message(net_end *end, const ws_event *event) {
  assert_non_null(event->u.message.data);
  end->messages += event->u.message.is_last;
  end->message_bytes += event->u.message.len;
  end->message_len = event->u.message.len;
  end->message = realloc(end->message, end->message_len + 1);
  assert_non_null(end->message);
  memcpy(end->message, event->u.message.data, end->message_len);
}

static void keep_cause(net_end *end, const ws_cause *cause) {
  snprintf(end->cause_text, sizeof(end->cause_text), "%s", cause->message);
  end->cause = *cause;
  end->cause.message = end->cause_text;
  end->cause.response = NULL;
}

static void keep(net_end *end, const ws_event *event) {
  switch (event->type) {
  case WS_EVENT_OPEN:
    end->is_open = true;
    net_bound_buffer(end->socket->source.node.fd, SO_SNDBUF);
    break;
  case WS_EVENT_RECONNECT: end->is_open = false; break;
  case WS_EVENT_MESSAGE: keep_message(end, event); break;
  case WS_EVENT_PONG: end->rtt = event->u.control.rtt; break;
  case WS_EVENT_ERROR: keep_cause(end, &event->u.error); break;
  case WS_EVENT_CLOSE:
    if (end->last_type == WS_EVENT_ERROR)
      assert_false(event->u.close.was_clean);
    assert_int_equal(strlen(event->u.close.reason), event->u.close.reason_len);
    end->is_over = true;
    break;
  default: break;
  }
  end->last_type = event->type;
}

/* -- Ends ------------------------------------------------------------------ */

static net_end *add_end(net *n, bool is_server) {
  net_end *end = calloc(1, sizeof(*end));
  assert_non_null(end);
  end->is_server = is_server;
  net_end **link = &n->ends;
  while (*link != NULL)
    link = &(*link)->next;
  *link = end;
  return end;
}

/* The end of a socket; a server's is made with its first event. */
static net_end *end_of(net *n, ws_socket *socket) {
  net_end *end = ws_socket_user_data(socket);
  if (end == NULL) {
    assert_int_equal(ws_socket_role(socket), WS_ROLE_SERVER);
    end = add_end(n, true);
    end->socket = socket;
    ws_socket_set_user_data(socket, end);
  }
  assert_ptr_equal(end->socket, socket);
  return end;
}

void net_record(net *n, const ws_event *event) {
  net_end *end = NULL;
  if (event->socket != NULL) {
    end = end_of(n, event->socket);
    assert_ptr_equal(event->server, ws_socket_server(event->socket));
    check_order(end, event->type);
    check_state(end, event->type);
    keep(end, event);
  }
  log_event(end != NULL ? &end->log : &n->log, event);
  if (event->type == WS_EVENT_SERVER_CLOSE && event->server == n->server)
    n->server = NULL;
  if (n->on_event != NULL) n->on_event(n, end, event);
  if (end != NULL && end->is_over && !end->is_retained) end->socket = NULL;
}

void net_take(net *n, const ws_event *event) {
  net_record(n, event);
  ws_loop_handle(event);
}

net_end *net_connect(net *n, const char *url,
                     const ws_socket_options *options) {
  ws_socket_options own;
  ws_socket_options_init(&own);
  if (options != NULL) own = *options;
  net_end *end = add_end(n, false);
  own.user_data = end;
  ws_error error = {0};
  const int result =
      ws_socket_open(n->loop, url, strlen(url), &own, &end->socket, &error);
  if (result != 0)
    fail_msg("%s: %s %s", url, ws_err_name(result), error.message);
  return end;
}

net_end *net_accepted(const net *n, unsigned index) {
  for (net_end *end = n->ends; end != NULL; end = end->next)
    if (end->is_server && index-- == 0) return end;
  return NULL;
}

ws_socket *net_retain(net_end *end) {
  assert_false(end->is_retained);
  end->is_retained = true;
  return ws_socket_retain(end->socket);
}

static void free_end(net_end *end) {
  if (end->is_retained) ws_socket_release(end->socket);
  transcript_free(&end->log);
  free(end->message);
  free(end);
}

/* -- Servers --------------------------------------------------------------- */

void net_serve_at(net *n, const ws_server_options *options,
                  const ws_listen_options *where) {
  assert_null(n->server);
  ws_error error = {0};
  if (ws_server_new(n->loop, options, &n->server, &error) != 0 ||
      ws_server_listen(n->server, where, &error) != 0) {
    fail_msg("%s", error.message);
  }
  n->port = ws_server_port(n->server, 0);
  snprintf(n->url, sizeof(n->url), "%s/", ws_server_url(n->server, 0));
}

void net_serve(net *n, const ws_server_options *options) {
  ws_listen_options where;
  ws_listen_options_init(&where);
  net_serve_at(n, options, &where);
}

void net_open_pair(net *n, const ws_socket_options *options,
                   net_end **out_client, net_end **out_server) {
  unsigned index = 0;
  while (net_accepted(n, index) != NULL)
    index++;
  net_end *client = net_connect(n, n->url, options);
  NET_UNTIL(n, client->is_open);
  NET_UNTIL(n, net_accepted(n, index) != NULL);
  net_end *server = net_accepted(n, index);
  NET_UNTIL(n, server->is_open);
  assert_log(client, "open");
  assert_log(server, "open");
  *out_client = client;
  *out_server = server;
}

/* -- Turning --------------------------------------------------------------- */

/* Of one turn. Its work is bounded; no test needs so many. */
#define MAX_EVENTS 100000

void net_fail(const net *n, const char *what) {
  for (const net_end *end = n->ends; end != NULL; end = end->next) {
    print_error("%s: %.300s\n", end->is_server ? "server" : "client",
                transcript_text(&end->log));
  }
  print_error("loop: %.300s\n", transcript_text(&n->log));
  fail_msg("waited in vain: %s", what);
}

uint64_t net_clock(void) {
  return ws__clock_ms();
}

void net_turn(net *n, int timeout_ms) {
  assert_int_equal(ws_loop_wait(n->loop, timeout_ms), 0);
  ws_event event;
  unsigned events = 0;
  while (ws_loop_next(n->loop, &event)) {
    if (++events > MAX_EVENTS) net_fail(n, "the turn ends");
    net_take(n, &event);
  }
}

/* What is left of the patience, at least 0. */
static int patience(uint64_t started) {
  const uint64_t passed = net_clock() - started;
  return passed < PATIENCE_MS ? (int)(PATIENCE_MS - passed) : 0;
}

void net_turn_since(net *n, uint64_t started, const char *condition) {
  const int timeout = patience(started);
  if (timeout == 0) net_fail(n, condition);
  net_turn(n, timeout);
}

void net_finish(net *n, const net_end *end) {
  NET_UNTIL(n, end->is_over);
}

void net_wait_for(net *n, int fd, short events) {
  const uint64_t started = net_clock();
  struct pollfd watched[] = {{.fd = fd, .events = events},
                             {.fd = n->loop_fd, .events = POLLIN}};
  for (;;) {
    const int timeout = patience(started);
    if (timeout == 0) net_fail(n, "a descriptor is ready");
    /* Without a descriptor the loop has to be asked again and again. */
    assert_true(poll(watched, 2, n->loop_fd >= 0 ? timeout : 1) >= 0);
    if (watched[0].revents != 0) return;
    net_turn(n, 0);
  }
}

void net_settle(net *n) {
  ws_loop_stats before, after;
  /* A connection is accepted, then watched, then read from. */
  for (int quiet = 0; quiet < 2;) {
    for (const raw *peer = n->peers; peer != NULL; peer = peer->next)
      raw_deliver(peer);
    ws_loop_get_stats(n->loop, &before);
    net_turn(n, 0);
    ws_loop_get_stats(n->loop, &after);
    const bool is_quiet = after.events == before.events &&
                          after.sockets == before.sockets &&
                          after.bytes_sent == before.bytes_sent &&
                          after.bytes_received == before.bytes_received;
    quiet = is_quiet ? quiet + 1 : 0;
  }
}

int net_descriptors(void) {
  struct pollfd entries[MAX_DESCRIPTORS];
  const long allowed = sysconf(_SC_OPEN_MAX);
  const int last =
      allowed > 0 && allowed < MAX_DESCRIPTORS ? (int)allowed : MAX_DESCRIPTORS;
  for (int fd = 0; fd < last; fd++)
    entries[fd] = (struct pollfd){.fd = fd};
  /* One call instead of one for each: what is not open is told. */
  assert_true(poll(entries, (nfds_t)last, 0) >= 0);
  int count = 0;
  for (int fd = 0; fd < last; fd++)
    count += (entries[fd].revents & POLLNVAL) == 0;
  return count;
}

void net_assert_descriptors(int expected) {
  const uint64_t started = net_clock();
  int count;
  while ((count = net_descriptors()) != expected &&
         net_clock() - started < PATIENCE_MS) {
    poll(NULL, 0, 1);
  }
  assert_int_equal(count, expected);
}

void net_bound_buffer(int fd, int option) {
  const int size = SYSTEM_BUFFER;
  (void)setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size));
}

/* -- Files ----------------------------------------------------------------- */

const char *net_path(net *n, const char *name) {
  static char path[256];
  if (n->dir[0] == '\0') {
    snprintf(n->dir, sizeof(n->dir), "/tmp/libws-test-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
  }
  snprintf(path, sizeof(path), "%s/%s", n->dir, name);
  return path;
}

void net_write_file(net *n, const char *name, const void *data, size_t len) {
  FILE *file = fopen(net_path(n, name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, len, file), len);
  assert_int_equal(fclose(file), 0);
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *position) {
  (void)status;
  (void)type;
  (void)position;
  return remove(path);
}

/* -- Setting up ------------------------------------------------------------ */

enum {
  MAX_NESTED = 16 /* Descriptors for reading a tree of files. */
};

static int descriptors_at_start; /* Of the program; before that 0. */

/* A proxy of the machine is no business of these tests. */
static void clear_environment(void) {
  for (size_t i = 0; i < WS__PROXY_VARIABLES; i++)
    assert_int_equal(unsetenv(ws__proxy_variable(i)), 0);
}

int net_set_up(void **state) {
  const net_kind *kind = *state;
  net *n = calloc(1, sizeof(*n));
  assert_non_null(n);
  clear_environment();
  (void)signal(SIGPIPE, SIG_DFL); /* It must never be raised. */
  n->role = kind->role;
  if (descriptors_at_start == 0) descriptors_at_start = net_descriptors();
  test_alloc_init(&n->alloc);
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.allocator = n->alloc.allocator;
  options.backend = kind->backend;
  options.receive_buffer = RECEIVE_BUFFER;
  options.send_buffer = SEND_BUFFER;
  ws_error error = {0};
  if (ws_loop_new(&options, &n->loop, &error) != 0)
    fail_msg("%s", error.message);
  if (ws_loop_fd(n->loop, &n->loop_fd) != 0) n->loop_fd = -1;
  *state = n;
  return 0;
}

int net_tear_down(void **state) {
  net *n = *state;
  ws_loop_free(n->loop);
  while (n->ends != NULL) {
    net_end *end = n->ends;
    n->ends = end->next;
    free_end(end);
  }
  raw_free_all(n);
  if (n->dir[0] != '\0')
    assert_int_equal(nftw(n->dir, remove_one, MAX_NESTED, FTW_DEPTH | FTW_PHYS),
                     0);
  assert_int_equal(n->alloc.held, 0);
  net_assert_descriptors(descriptors_at_start);
  transcript_free(&n->log);
  free(n);
  return 0;
}
