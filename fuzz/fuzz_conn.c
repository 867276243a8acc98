/* Plays any sequence of calls on a client and a server that talk to each other
 * through two pipes, with the pipes cut, blocked, damaged or closed and memory
 * failing on the way. Whatever happens:
 *
 *   - error at most once and directly before close, close at most once, nothing
 *     after it, and close comes when both have been let go;
 *   - states only go forward;
 *   - a deadline is armed exactly until the end;
 *   - what stats call held is what was allocated;
 *   - bufferedAmount never shrinks inside a handler;
 *   - as long as nothing was damaged, messages arrive as they were sent. */
#include <string.h>

#include "budget.h"
#include "proto/conn.h"
#include "ws/conn.h"

/* Two connections with handshakes and zlib's streams, and what calls send. */
#define HEAP_BASE     (2 * 1024 * 1024)
#define HEAP_PER_BYTE 20000

#define PIPE_SIZE (1 << 16)
#define MAX_CALLS 400

#define HASH_START UINT64_C(14695981039346656037)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct wire {
  uint8_t *bytes;
  size_t start;
  size_t end;
} wire;

typedef struct end {
  test_alloc alloc;
  size_t config_size;
  ws_conn *conn;
  ws_state state;
  bool has_error;
  bool is_closed;
  bool has_request;  /* Server: a request waits for its answer. */
  bool is_resting;   /* Pulls no more for now. */
  uint8_t *borrowed; /* What was fed last. */
  uint8_t lent[512];
  bool has_lent;
  wire out; /* On the way to the other end. */
  /* Hashes of types and contents: of each message sent, in order, and of the
   * unfinished ones. */
  uint64_t sent[MAX_CALLS];
  size_t sent_count;
  uint64_t sending;
  bool is_sending;
  uint64_t receiving;
  size_t received_count;
} end;

typedef struct world {
  const uint8_t *script;
  size_t left;
  uint64_t now;
  bool is_damaged; /* What arrives need not be what was sent. */
  end client;
  end server;
} world;

static unsigned next(world *w) {
  if (w->left == 0) return 0;
  w->left--;
  return *w->script++;
}

static int constant_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 0x5A, len);
  return 0;
}

static uint64_t hash(uint64_t h, const uint8_t *data, size_t len) {
  for (size_t i = 0; i < len; i++)
    h = (h ^ data[i]) * UINT64_C(1099511628211);
  return h;
}

/* -- Events ---------------------------------------------------------------- */

/* The connection gets a copy of its own, and the bytes it had are freed. */
static void keep_input(end *self) {
  (void)ws_conn_keep_input(self->conn);
  free(self->borrowed);
  self->borrowed = NULL;
}

static void on_message(world *w, end *self, const ws_conn_event *event) {
  require(self->state == WS_STATE_OPEN, "messages come while OPEN");
  require(event->u.message.data != NULL, "data is never NULL");
  const uint8_t type = (uint8_t)event->u.message.type;
  if (event->u.message.is_first) self->receiving = hash(HASH_START, &type, 1);
  self->receiving =
      hash(self->receiving, event->u.message.data, event->u.message.len);
  if (event->u.message.is_last && !w->is_damaged) {
    const end *sender = self == &w->client ? &w->server : &w->client;
    require(self->received_count < sender->sent_count &&
                sender->sent[self->received_count] == self->receiving,
            "messages arrive as they were sent");
    self->received_count++;
  }

  /* A handler may do anything. */
  const unsigned what = next(w);
  if (what == 1) ws_conn_close(self->conn, 0, NULL, 0);
  if (what == 2) ws_conn_abort(self->conn, 0);
  if (what == 3) ws_conn_set_paused(self->conn, true);
  if (what == 4 || what == 5) keep_input(self);
  if (what == 5) self->is_resting = true;
}

static void on_event(world *w, end *self, const ws_conn_event *event) {
  require(!self->is_closed, "nothing comes after close");
  require(!self->has_error || event->type == WS_EVENT_CLOSE,
          "close follows error");
  switch (event->type) {
  case WS_EVENT_REQUEST:
    require(event->u.request->is_upgrade || w->is_damaged, "an upgrade");
    self->has_request = true;
    break;
  case WS_EVENT_MESSAGE: on_message(w, self, event); break;
  case WS_EVENT_ERROR:
    self->has_error = true;
    require(event->u.error.err < 0, "an error has a number");
    require(event->u.error.message[0] != '\0', "an error has a message");
    require(ws_conn_state(self->conn) == WS_STATE_CLOSED, "error when CLOSED");
    break;
  case WS_EVENT_CLOSE:
    self->is_closed = true;
    require(ws_conn_state(self->conn) == WS_STATE_CLOSED, "close when CLOSED");
    require(!event->u.close.was_clean || !self->has_error,
            "what failed did not end cleanly");
    require(event->u.close.reason[event->u.close.reason_len] == '\0',
            "the reason ends in NUL");
    break;
  case WS_EVENT_OPEN:
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
  case WS_EVENT_DRAIN: break;
  case WS_EVENT_RECONNECT:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: require(false, "no event of sockets");
  }
}

static void check(end *self) {
  const ws_state state = ws_conn_state(self->conn);
  require(state >= self->state, "states go forward");
  self->state = state;

  ws_conn_stats stats;
  ws_conn_get_stats(self->conn, &stats);
  require(stats.bytes_held + self->config_size == self->alloc.held,
          "stats know what is held");
  const bool is_waiting = ws_conn_deadline(self->conn) != WS_NO_DEADLINE;
  if (state == WS_STATE_CLOSED) require(!is_waiting, "no deadline at the end");
}

/* Takes all events, unless a handler wants to go on later. */
static void pull(world *w, end *self) {
  ws_conn_event event;
  self->is_resting = false;
  while (ws_conn_next_event(self->conn, &event)) {
    check(self);
    on_event(w, self, &event);
    if (self->is_resting) return;
  }
  free(self->borrowed); /* It is given back now. */
  self->borrowed = NULL;
  check(self);
}

/* -- The wire -------------------------------------------------------------- */

/* What `from` wants to write goes into its pipe, at most `max` bytes. Returns
 * how many. */
static size_t fill_pipe(end *from, size_t max) {
  ws_slice slices[3];
  const size_t count = ws_conn_output(from->conn, slices, 3);
  size_t taken = 0;
  for (size_t i = 0; i < count && taken < max; i++) {
    require(slices[i].len > 0, "no slice is empty");
    size_t len = slices[i].len < max - taken ? slices[i].len : max - taken;
    if (len > PIPE_SIZE - from->out.end) len = PIPE_SIZE - from->out.end;
    memcpy(from->out.bytes + from->out.end, slices[i].data, len);
    from->out.end += len;
    taken += len;
  }
  return taken;
}

static void write_out(world *w, end *from, size_t max) {
  ws_conn_consume(from->conn, fill_pipe(from, max));
  pull(w, from);
}

/* The same from inside a handler. */
static void write_out_early(end *from, size_t max) {
  const uint64_t before = ws_conn_buffered_amount(from->conn);
  ws__conn_consume_early(from->conn, fill_pipe(from, max));
  require(ws_conn_buffered_amount(from->conn) == before,
          "bufferedAmount stays as it is inside a handler");
}

/* The next `max` bytes arrive at `to`. */
static void deliver(world *w, end *from, end *to, size_t max) {
  const size_t waiting = from->out.end - from->out.start;
  const size_t len = waiting < max ? waiting : max;
  uint8_t *place = NULL;
  size_t room = 0;
  ws_conn_input(to->conn, &place, &room);
  if (room > 0 && len > 0) {
    const size_t part = len < room ? len : room;
    memcpy(place, from->out.bytes + from->out.start, part);
    from->out.start += part;
    require(ws_conn_feed(to->conn, place, part) == 0, "input is taken");
  } else {
    uint8_t *block = malloc(len > 0 ? len : 1);
    require(block != NULL, "memory for the fuzzer");
    memcpy(block, from->out.bytes + from->out.start, len);
    from->out.start += len;
    to->borrowed = block;
    require(ws_conn_feed(to->conn, block, len) == 0, "input is taken");
  }
  if (from->out.start == from->out.end) from->out.start = from->out.end = 0;
  pull(w, to);
}

/* -- Calls ----------------------------------------------------------------- */

/* How a message is sent. */
enum {
  SEND_TEXT = 1,
  SEND_FRAGMENT = 2,
  SEND_UNCOMPRESSED = 4,
  SEND_BORROWED = 8,
  SEND_SHARED = 16,
  SEND_LARGE = 64
};

static int send_shared(end *self, ws_message_type type, const void *data,
                       size_t size, unsigned flags) {
  static ws_conn_config *config; /* With memory that does not fail. */
  if (config == NULL) {
    ws_conn_options options;
    ws_conn_options_init(&options);
    options.compression = WS_COMPRESSION_ON;
    options.compression_threshold = 16;
    require(ws_conn_config_new(WS_ROLE_SERVER, &options, &config, NULL) == 0,
            "options");
  }
  ws_message *message;
  require(ws_message_new(config, type, data, size, flags, &message) == 0,
          "a message");
  const int err = ws_conn_send_message(self->conn, message);
  ws_message_free(message);
  return err;
}

/* What the pipe does not take at once is copied. */
static void flush_borrowed(world *w, end *self) {
  write_out_early(self, next(w) * 32u);
  (void)ws_conn_own_output(self->conn);
  check(self);
  ws__conn_settle(self->conn);
}

static int send_as(end *self, unsigned how, const void *data, size_t size) {
  const ws_message_type type = (how & SEND_TEXT) != 0 ? WS_TEXT : WS_BINARY;
  const unsigned flags =
      ((how & SEND_FRAGMENT) != 0 ? WS_SEND_FRAGMENT : 0u) |
      ((how & SEND_UNCOMPRESSED) != 0 ? WS_SEND_UNCOMPRESSED : 0u);
  if ((how & SEND_SHARED) != 0) {
    return send_shared(self, type, data, size, flags);
  }
  return (how & SEND_BORROWED) != 0
             ? ws_conn_send_borrowed(self->conn, type, data, size, flags)
             : ws_conn_send(self->conn, type, data, size, flags);
}

/* Takes note of a message or a part of one that will arrive. */
static void note_sent(end *self, unsigned how, const void *data, size_t size) {
  const uint8_t type = (how & SEND_TEXT) != 0 ? WS_TEXT : WS_BINARY;
  if (!self->is_sending) self->sending = hash(HASH_START, &type, 1);
  self->sending = hash(self->sending, data, size);
  self->is_sending = (how & SEND_FRAGMENT) != 0;
  if (!self->is_sending) self->sent[self->sent_count++] = self->sending;
}

/* Sends a message or a part of one, as the script says. */
static void send_message(world *w, end *self) {
  static const char filler[256 * 32] = "all of this is ASCII: abcabcabc";
  unsigned how = next(w);
  if ((how & SEND_SHARED) != 0) how &= ~(unsigned)SEND_FRAGMENT;
  const size_t size = next(w) * ((how & SEND_LARGE) != 0 ? 32u : 1u);
  uint8_t *data = malloc(size > 0 ? size : 1); /* Gone after the call. */
  require(data != NULL, "memory for the fuzzer");
  memcpy(data, filler, size);

  ws_conn_stats old;
  ws_conn_get_stats(self->conn, &old);
  const uint64_t before = ws_conn_buffered_amount(self->conn);
  const int err = send_as(self, how, data, size);
  if (err == 0) {
    require(ws_conn_buffered_amount(self->conn) == before + size,
            "bufferedAmount grows by the payload");
    ws_conn_stats now;
    ws_conn_get_stats(self->conn, &now);
    const bool is_open = now.bytes_queued > old.bytes_queued;
    if (is_open) note_sent(self, how, data, size);
  }
  if ((how & SEND_BORROWED) != 0) flush_borrowed(w, self);
  free(data);
}

static void answer_request(world *w, end *server) {
  if (!server->has_request) return;
  server->has_request = false;
  if (next(w) == 1) {
    (void)ws_conn_respond(server->conn, 404, NULL, 0, "no", 2, NULL);
    return;
  }
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = "chat";
  answer.decline_compression = next(w) == 1;
  if (ws_conn_accept(server->conn, &answer, NULL) != 0) {
    server->has_request = true;
  }
}

static void lend(end *self) {
  if (self->has_lent) {
    (void)ws_conn_reclaim_output(self->conn);
    self->has_lent = false;
  } else if (ws_conn_lend_output(self->conn, self->lent, sizeof(self->lent)) ==
             0) {
    self->has_lent = true;
  }
}

static void damage(world *w, end *from) {
  if (from->out.start == from->out.end) return;
  w->is_damaged = true;
  from->out.bytes[from->out.start] ^= (uint8_t)(1u << (next(w) % 8));
}

static void call(world *w, end *self, end *other, unsigned what) {
  switch (what) {
  case 0: write_out(w, self, 1 + next(w)); break;
  case 1: write_out(w, self, PIPE_SIZE); break;
  case 2: deliver(w, other, self, 1 + next(w)); break;
  case 3: deliver(w, other, self, PIPE_SIZE); break;
  case 4:
  case 5: send_message(w, self); break;
  case 6: (void)ws_conn_send_ping(self->conn, "ping", next(w) % 5); break;
  case 7: (void)ws_conn_send_pong(self->conn, "pong", next(w) % 5); break;
  case 8:
    (void)ws_conn_close_with(self->conn, (uint16_t)(990 + next(w)), "bye",
                             next(w) % 4);
    break;
  case 9:
    ws_conn_abort(self->conn, next(w) % 2 == 0 ? 0 : WS_ERR_TRANSPORT);
    break;
  case 10: ws_conn_eof(self->conn); break;
  case 11:
    w->now += next(w) * 100u;
    ws_conn_tick(self->conn, w->now);
    break;
  case 12: ws_conn_set_paused(self->conn, next(w) % 2 == 0); break;
  case 13: ws_conn_set_streaming(self->conn, next(w) % 2 == 0); break;
  case 14: lend(self); break;
  case 15: answer_request(w, &w->server); break;
  case 16: damage(w, self); break;
  case 17: self->alloc.fail_at = self->alloc.calls + next(w); break;
  case 18: pull(w, self); break;
  case 19: (void)ws_conn_close(self->conn, 0, NULL, 0); break;
  }
  if (self->conn != NULL) check(self);
}

/* -- The world ------------------------------------------------------------- */

static void make_end(world *w, end *self, ws_role role, unsigned how) {
  test_alloc_init(&self->alloc);
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.allocator = self->alloc.allocator;
  options.random = constant_random;
  options.compression = (how & 1) != 0 ? WS_COMPRESSION_ON : WS_COMPRESSION_OFF;
  options.compression_threshold = 16;
  options.server_no_context_takeover = (how & 2) != 0;
  options.client_no_context_takeover = (how & 4) != 0;
  options.max_message = (how & 8) != 0 ? 4096 : 0;
  options.send_high_water = 1000;
  options.max_send_queue = (how & 16) != 0 ? 20000 : 0;
  options.useless_burst = (how & 32) != 0 ? 5 : 0;
  ws_conn_config *config;
  require(ws_conn_config_new(role, &options, &config, NULL) == 0, "options");
  self->config_size = self->alloc.held;
  require(ws_conn_new(config, w->now, &self->conn) == 0, "a connection");
  ws_conn_config_free(config);
  static uint8_t pipes[2][PIPE_SIZE];
  self->out.bytes = pipes[role];
}

static void connect_client(end *client) {
  static const char text[] = "ws://user:pw@example.com/chat";
  static const char *const protocols[] = {"chat"};
  ws_url *url;
  require(ws_url_parse(text, strlen(text), NULL, &url, NULL) == 0, "a URL");
  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = url;
  request.protocols = protocols;
  request.protocol_count = 1;
  require(ws_conn_connect(client->conn, &request, NULL) == 0, "connect");
  ws_url_free(url);
}

/* Lets everything that is on its way arrive, then ends both transports: there
 * must be a close event on each side. */
static void wind_up(world *w) {
  w->left = 0;
  w->client.alloc.fail_at = w->server.alloc.fail_at = SIZE_MAX;
  ws_conn_set_paused(w->client.conn, false);
  ws_conn_set_paused(w->server.conn, false);
  pull(w, &w->client);
  pull(w, &w->server);
  for (int turn = 0; turn < 8; turn++) {
    answer_request(w, &w->server);
    write_out(w, &w->client, PIPE_SIZE);
    write_out(w, &w->server, PIPE_SIZE);
    deliver(w, &w->client, &w->server, PIPE_SIZE);
    deliver(w, &w->server, &w->client, PIPE_SIZE);
  }
}

static void finish(world *w, end *self) {
  ws_conn_abort(self->conn, WS_ERR_TRANSPORT);
  pull(w, self);
  ws_conn_set_paused(self->conn, false);
  pull(w, self);
  require(self->is_closed, "everything ends with close");
  require(ws_conn_state(self->conn) == WS_STATE_CLOSED, "CLOSED at the end");
  ws_conn_free(self->conn);
  require(self->alloc.held == 0, "all memory is released");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3) return 0;
  budget b;
  budget_begin(&b);
  static world w;
  memset(&w, 0, sizeof(w));
  w.script = data + 3;
  w.left = size - 3;
  w.now = data[0];
  make_end(&w, &w.client, WS_ROLE_CLIENT, data[1]);
  make_end(&w, &w.server, WS_ROLE_SERVER, data[2]);
  connect_client(&w.client);
  if (data[0] % 4 != 0) { /* Most runs begin with an open connection. */
    for (int i = 0; i < 3; i++) {
      write_out(&w, &w.client, PIPE_SIZE);
      deliver(&w, &w.client, &w.server, PIPE_SIZE);
      answer_request(&w, &w.server);
      write_out(&w, &w.server, PIPE_SIZE);
      deliver(&w, &w.server, &w.client, PIPE_SIZE);
    }
  }
  for (int i = 0; i < MAX_CALLS && w.left > 0; i++) {
    const unsigned what = next(&w);
    end *self = what % 2 == 0 ? &w.client : &w.server;
    call(&w, self, self == &w.client ? &w.server : &w.client, what / 2 % 20);
  }
  wind_up(&w);
  finish(&w, &w.client);
  finish(&w, &w.server);
  const size_t peak = w.client.alloc.peak + w.server.alloc.peak;
  require(peak <= HEAP_BASE + HEAP_PER_BYTE * size, "heap in proportion");
  budget_end(&b, size, 0, 0);
  return 0;
}
