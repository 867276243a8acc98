/* conn.c - the life of a connection: time, failing, ending, and the pull of
 * events that drives the other files. */
#include "proto/conn.h"

#include <assert.h>
#include <string.h>

/* What an unfinished message has to bring in each message_timeout. */
#define PROGRESS_BYTES (16 * 1024)

/* -- Life ------------------------------------------------------------------ */

static_assert(sizeof(ws_conn) <= 152, "an idle connection is small");

int ws__conn_init(ws_conn *conn, ws_conn_config *config, uint64_t now) {
  *conn = (ws_conn){
      .config = ws__config_ref(config),
      .now = now,
      .since = (ws__stamp)now,
      .useless_at = (ws__stamp)now,
      .useless_budget = config->options.useless_burst,
      .rtt = WS_NEVER,
  };
  const int err = ws__opening_new(conn);
  if (err != 0) ws_conn_config_free(config);
  return err;
}

int ws_conn_new(ws_conn_config *config, uint64_t now, ws_conn **out_conn) {
  const ws_allocator *allocator = ws__config_allocator(config);
  ws_conn *conn = ws__alloc(allocator, sizeof(*conn));
  if (conn == NULL) return WS_ERR_NO_MEMORY;
  const int err = ws__conn_init(conn, config, now);
  if (err != 0) {
    ws__free(allocator, conn, sizeof(*conn));
    return err;
  }
  *out_conn = conn;
  return 0;
}

void ws__conn_deinit(ws_conn *conn) {
  const ws_allocator *allocator = ws__conn_allocator(conn);
  ws__opening_free(conn);
  ws__incoming_free(conn);
  ws__outgoing_free(conn);
  ws__agreed_free(conn);
  ws__output_clear(&conn->output, allocator);
  (void)ws__output_reclaim(&conn->output, allocator);
  ws_conn_config_free(conn->config);
}

void ws_conn_free(ws_conn *conn) {
  if (conn == NULL) return;
  const ws_allocator allocator = *ws__conn_allocator(conn);
  ws__conn_deinit(conn);
  ws__free(&allocator, conn, sizeof(*conn));
}

void ws__conn_set_state(ws_conn *conn, ws_state state) {
  if (conn->state == state) return;
  assert(conn->state < state);
  conn->state = state & 3;
  conn->since = ws__conn_stamp(conn);
}

/* -- Failing (RFC 6455 section 7.1.7) -------------------------------------- */

/* Who is to blame for an error. */
static ws_side side_of(int err) {
  switch (err) {
  case WS_ERR_NO_MEMORY:
  case WS_ERR_RANDOM:
  case WS_ERR_ABORTED:
  case WS_ERR_SEND_QUEUE_FULL: return WS_SIDE_LOCAL;
  case WS_ERR_UNEXPECTED_EOF:
  case WS_ERR_TRANSPORT:
  case WS_ERR_RESOLVE:
  case WS_ERR_CONNECT:
  case WS_ERR_PROXY:
  case WS_ERR_TLS:
  case WS_ERR_CERTIFICATE: return WS_SIDE_TRANSPORT;
  default: return WS_SIDE_PEER;
  }
}

/* The code that tells the peer of an error (section 7.4.1), or 0 where a Close
 * frame would not arrive or not be understood. */
static uint16_t close_code_of(int err) {
  switch (err) {
  case WS_ERR_INVALID_UTF8:
  case WS_ERR_INVALID_DEFLATE: return WS_CLOSE_INVALID_DATA;
  case WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: return WS_CLOSE_TOO_BIG;
  case WS_ERR_TOO_MANY_BUFFERED_PARTS:
  case WS_ERR_TOO_MANY_USELESS_FRAMES:
  case WS_ERR_MESSAGE_TIMEOUT: return WS_CLOSE_POLICY;
  case WS_ERR_NO_MEMORY: return WS_CLOSE_INTERNAL_ERROR;
  case WS_ERR_RANDOM:
  case WS_ERR_ABORTED:
  case WS_ERR_SEND_QUEUE_FULL:
  case WS_ERR_UNEXPECTED_EOF:
  case WS_ERR_TRANSPORT:
  case WS_ERR_TLS:
  case WS_ERR_PING_TIMEOUT:
  case WS_ERR_SEND_TIMEOUT:
  case WS_ERR_CLOSE_TIMEOUT: return 0;
  default: return WS_CLOSE_PROTOCOL_ERROR;
  }
}

static ws_phase phase_of(const ws_conn *conn) {
  switch ((ws_state)conn->state) {
  case WS_STATE_CONNECTING: return WS_PHASE_HANDSHAKE;
  case WS_STATE_OPEN: return WS_PHASE_OPEN;
  case WS_STATE_CLOSING:
  case WS_STATE_CLOSED: break;
  }
  return WS_PHASE_CLOSING;
}

/* How much of an error's text a peer is told: not the option of ours that
 * stands in brackets at its end. */
static size_t public_len(const char *text) {
  const char *option = strstr(text, " (");
  return option != NULL ? (size_t)(option - text) : strlen(text);
}

/* Tries to tell the peer why. Returns whether what waits in the output should
 * still be sent. */
static bool tell_peer(ws_conn *conn, int err) {
  /* A server's refusal is an HTTP response, which is there already. */
  if (conn->state == WS_STATE_CONNECTING) return ws__conn_is_server(conn);

  const uint16_t code = close_code_of(err);
  if (code == 0) return false;
  const char *reason = ws_strerror(err);
  if (!conn->is_close_sent &&
      ws__send_close(conn, code, reason, public_len(reason)) == 0 &&
      conn->is_close_sent) {
    conn->sent_code = code;
  }
  return conn->is_close_sent;
}

void ws__conn_fail(ws_conn *conn, int err) {
  if (conn->err != 0 || conn->end != WS__END_NONE) return;
  conn->err = (int8_t)err;
  conn->phase = phase_of(conn) & 3;
  ws__conn_stop_listening(conn);
  if (!tell_peer(conn, err)) ws__conn_drop_output(conn);
  ws__conn_set_state(conn, WS_STATE_CLOSING);
}

void ws__conn_stop_listening(ws_conn *conn) {
  conn->is_deaf = true;
  conn->input_len = 0;
}

void ws__conn_drop_output(ws_conn *conn) {
  if (conn->output.len > 0) {
    conn->is_close_sent = false;
    conn->sent_code = 0;
  }
  ws__output_clear(&conn->output, ws__conn_allocator(conn));
}

int ws__conn_spend_useless(ws_conn *conn) {
  const ws_conn_options *options = ws__conn_options(conn);
  if (options->useless_burst == WS_NEVER) return 0;

  /* Only whole frames are refilled; the stamp keeps the rest. */
  const uint64_t elapsed = ws__conn_elapsed(conn, conn->useless_at);
  const uint64_t refill = elapsed * options->useless_rate / 1000;
  if (refill > 0) {
    const uint64_t room = options->useless_burst - conn->useless_budget;
    conn->useless_budget += (uint32_t)(refill < room ? refill : room);
    conn->useless_at += (ws__stamp)(refill * 1000 / options->useless_rate);
  }
  if (conn->useless_budget == 0) return WS_ERR_TOO_MANY_USELESS_FRAMES;
  conn->useless_budget--;
  return 0;
}

/* -- Time ------------------------------------------------------------------ */

typedef enum timer_kind {
  TIMER_NONE,
  TIMER_HANDSHAKE,
  TIMER_KEEPALIVE, /* A ping is due. */
  TIMER_PING,      /* A sign of life is overdue. */
  TIMER_MESSAGE,
  TIMER_SEND,
  TIMER_CLOSE
} timer_kind;

/* The deadline that comes first. */
typedef struct deadline {
  uint64_t at;
  timer_kind kind;
} deadline;

static void consider(const ws_conn *conn, deadline *first, timer_kind kind,
                     ws__stamp since, uint32_t timeout) {
  if (timeout == WS_NEVER) return;
  const uint64_t at = conn->now - ws__conn_elapsed(conn, since) + timeout;
  if (at < first->at) *first = (deadline){at, kind};
}

/* What is waited for while OPEN. While the application does not read, nothing
 * can be expected of the peer but that it reads. */
static void consider_open(const ws_conn *conn, deadline *first) {
  const ws_conn_options *options = ws__conn_options(conn);
  if (conn->output.len > 0) {
    consider(conn, first, TIMER_SEND, conn->send_at, options->send_timeout);
  }
  if (conn->is_paused) return;
  if (conn->incoming != NULL && conn->incoming->was_busy) {
    consider(conn, first, TIMER_MESSAGE, conn->incoming->progress_at,
             options->message_timeout);
  }
  if (conn->is_keepalive_out) {
    consider(conn, first, TIMER_PING, conn->since, options->ping_timeout);
  } else {
    consider(conn, first, TIMER_KEEPALIVE, conn->since, options->ping_interval);
  }
}

static deadline first_deadline(const ws_conn *conn) {
  const ws_conn_options *options = ws__conn_options(conn);
  deadline first = {WS_NO_DEADLINE, TIMER_NONE};
  switch ((ws_state)conn->state) {
  case WS_STATE_CONNECTING:
    consider(conn, &first, TIMER_HANDSHAKE, conn->since,
             options->handshake_timeout);
    break;
  case WS_STATE_OPEN: consider_open(conn, &first); break;
  case WS_STATE_CLOSING:
    consider(conn, &first, TIMER_CLOSE, conn->since, options->close_timeout);
    break;
  case WS_STATE_CLOSED: break;
  }
  return first;
}

/* Whether both Close frames went over the wire, as far as we can know. */
static bool is_close_complete(const ws_conn *conn) {
  return conn->is_close_sent && conn->is_close_received;
}

/* The closing took too long. If only the peer's end of file is missing, all has
 * been said and the end is clean (section 7.1.1). */
static void close_overdue(ws_conn *conn) {
  ws__conn_drop_output(conn);
  if (!is_close_complete(conn) && !conn->is_answered) {
    ws__conn_fail(conn, WS_ERR_CLOSE_TIMEOUT);
  }
  ws__conn_stop_listening(conn);
  conn->is_cut = true;
}

static void fire(ws_conn *conn, timer_kind kind) {
  int err = 0;
  switch (kind) {
  case TIMER_NONE: break;
  case TIMER_HANDSHAKE:
    ws__opening_ended(conn, WS_ERR_HANDSHAKE_TIMEOUT);
    break;
  case TIMER_KEEPALIVE: err = ws__send_keepalive(conn); break;
  case TIMER_PING: err = WS_ERR_PING_TIMEOUT; break;
  case TIMER_MESSAGE: err = WS_ERR_MESSAGE_TIMEOUT; break;
  case TIMER_SEND: err = WS_ERR_SEND_TIMEOUT; break;
  case TIMER_CLOSE: close_overdue(conn); break;
  }
  if (err != 0) ws__conn_fail(conn, err);
}

/* Does what is due. Each step puts its deadline off or the connection further
 * towards its end, so this ends. */
static void time_step(ws_conn *conn) {
  while (!conn->is_cut) {
    const deadline first = first_deadline(conn);
    if (first.at > conn->now) return;
    fire(conn, first.kind);
  }
}

void ws_conn_tick(ws_conn *conn, uint64_t now) {
  if (now > conn->now) conn->now = now;
}

uint64_t ws_conn_deadline(const ws_conn *conn) {
  return conn->is_cut ? WS_NO_DEADLINE : first_deadline(conn).at;
}

void ws_conn_set_paused(ws_conn *conn, bool is_paused) {
  if (conn->is_paused && !is_paused && conn->state == WS_STATE_OPEN) {
    conn->since = ws__conn_stamp(conn);
    if (conn->incoming != NULL) {
      conn->incoming->progress_at = ws__conn_stamp(conn);
    }
  }
  conn->is_paused = is_paused;
}

void ws_conn_set_streaming(ws_conn *conn, bool is_streaming) {
  conn->is_streaming = is_streaming;
}

/* -- Bytes in -------------------------------------------------------------- */

/* Whether the input lies in memory of our own. */
static bool is_kept(const ws_conn *conn) {
  return conn->incoming != NULL && conn->incoming->kept != NULL;
}

/* Copies `len` bytes behind the input that is kept already, if any. */
static int keep(ws_conn *conn, const uint8_t *data, size_t len) {
  ws__incoming *in = ws__conn_incoming(conn);
  if (in == NULL) return WS_ERR_NO_MEMORY;
  const size_t had = in->kept != NULL ? conn->input_len : 0;
  if (len > SIZE_MAX - sizeof(ws__kept) - had) return WS_ERR_NO_MEMORY;
  ws__kept *kept =
      ws__alloc(ws__conn_allocator(conn), sizeof(*kept) + had + len);
  if (kept == NULL) return WS_ERR_NO_MEMORY;

  kept->cap = had + len;
  if (had > 0) memcpy(kept->data, conn->input, had);
  memcpy(kept->data + had, data, len);
  ws__incoming_free_kept(conn);
  in->kept = kept;
  conn->input = kept->data;
  conn->input_len = had + len;
  return 0;
}

static void note_progress(ws_conn *conn, size_t len) {
  ws__incoming *in = conn->incoming;
  if (len < PROGRESS_BYTES - in->progress_bytes) {
    in->progress_bytes += (uint32_t)len;
  } else {
    in->progress_bytes = 0;
    in->progress_at = ws__conn_stamp(conn);
  }
}

/* Bytes have come: the peer is alive, and may have made progress. */
static void note_input(ws_conn *conn, size_t len) {
  if (conn->state == WS_STATE_OPEN) conn->since = ws__conn_stamp(conn);
  conn->is_keepalive_out = false;
  conn->is_stalled = conn->output.len > 0;
  if (conn->incoming != NULL && conn->incoming->was_busy) {
    note_progress(conn, len);
  }
}

int ws_conn_feed(ws_conn *conn, uint8_t *data, size_t len) {
  if (conn->input_len > 0 && !is_kept(conn)) return WS_ERR_INVALID_STATE;
  ws__receive_release(conn);
  conn->bytes_received += len;
  if (len == 0 || conn->is_deaf || conn->is_eof) return 0;

  note_input(conn, len);
  if (conn->input_len > 0) {
    const int err = keep(conn, data, len);
    if (err != 0) ws__conn_fail(conn, err);
    return 0;
  }
  conn->input = data;
  conn->input_len = len;
  return 0;
}

int ws_conn_keep_input(ws_conn *conn) {
  ws__receive_release(conn);
  if (conn->input_len == 0 || is_kept(conn)) return 0;
  const int err = keep(conn, conn->input, conn->input_len);
  if (err != 0) ws__conn_fail(conn, err);
  return err;
}

void ws_conn_eof(ws_conn *conn) {
  if (conn->is_eof) return;
  conn->is_eof = true;
  conn->eof_err = WS_ERR_UNEXPECTED_EOF;
}

void ws_conn_abort(ws_conn *conn, int err) {
  if (conn->is_cut || conn->end != WS__END_NONE) return;
  conn->is_cut = true;
  conn->is_eof = true;
  conn->eof_err = (int8_t)err;
  ws__conn_drop_output(conn);
  if (err != 0) return;

  if (conn->state == WS_STATE_CONNECTING) {
    ws__conn_fail(conn, WS_ERR_ABORTED);
  }
  ws__conn_stop_listening(conn);
  ws__conn_set_state(conn, WS_STATE_CLOSING);
}

/* -- Events out ------------------------------------------------------------ */

/* The transport has ended and all that came before has been seen. */
static void end_of_file(ws_conn *conn) {
  if (!conn->is_established && !conn->is_answered) {
    ws__opening_ended(conn, conn->eof_err);
  } else if (!is_close_complete(conn) && !conn->is_answered &&
             conn->eof_err != 0) {
    ws__conn_fail(conn, conn->eof_err);
  }
}

/* Whether the transport should be closed now. "The server MUST close the
 * connection immediately", "a client SHOULD wait for the server to close"
 * (section 7.1.1). */
static bool is_over(const ws_conn *conn) {
  if (conn->is_cut) return true;
  if (conn->output.len > 0) return false;
  if (conn->err != 0 || conn->is_answered) return true;
  return is_close_complete(conn) && (ws__conn_is_server(conn) || conn->is_eof);
}

static bool error_event(const ws_conn *conn, ws_conn_event *event) {
  event->type = WS_EVENT_ERROR;
  event->u.error = (ws_cause){
      .err = (ws_err)conn->err,
      .side = side_of(conn->err),
      .phase = (ws_phase)conn->phase,
      .close_code = conn->sent_code,
      .message = ws_strerror(conn->err),
  };
  if (conn->opening != NULL) ws__opening_explain(conn, &event->u.error);
  return true;
}

static bool close_event(const ws_conn *conn, ws_conn_event *event) {
  const ws__incoming *in = conn->incoming;
  const bool has_code = conn->is_close_received;
  const bool has_reason = has_code && in != NULL && in->control_len > 0;
  event->type = WS_EVENT_CLOSE;
  event->u.close.code = has_code ? conn->close_code : WS_CLOSE_ABNORMAL;
  event->u.close.reason = has_reason ? (const char *)in->control : "";
  event->u.close.reason_len = has_reason ? in->control_len : 0;
  event->u.close.was_clean = conn->err == 0 && is_close_complete(conn);
  return true;
}

/* The end: closed, then error if it failed, then close (WHATWG WebSockets
 * section 4). */
static bool end_step(ws_conn *conn, ws_conn_event *event) {
  switch ((ws__end)conn->end) {
  case WS__END_NONE:
    if (!is_over(conn)) return false;
    ws__conn_set_state(conn, WS_STATE_CLOSED);
    ws__conn_stop_listening(conn);
    conn->end = conn->err != 0 ? WS__END_CLOSE : WS__END_DONE;
    return conn->err != 0 ? error_event(conn, event) : close_event(conn, event);
  case WS__END_CLOSE: conn->end = WS__END_DONE; return close_event(conn, event);
  case WS__END_DONE: break;
  }
  return false;
}

/* While a request waits for its answer, what follows it is kept within the
 * bound for a head and not looked at: the client is early, or it smuggles. */
static void keep_behind_request(ws_conn *conn) {
  if (conn->input_len > ws__conn_options(conn)->max_head) {
    ws__opening_fail(conn, WS_ERR_HTTP_TOO_LARGE,
                     "more than max_head bytes behind an unanswered request");
  } else {
    (void)ws_conn_keep_input(conn);
  }
}

/* All input is used that may be used now: what only served it goes. */
static void input_used(ws_conn *conn) {
  if (conn->input_len > 0 && conn->is_paused) (void)ws_conn_keep_input(conn);
  if (conn->input_len > 0 && !conn->is_paused) keep_behind_request(conn);
  if (conn->incoming != NULL) ws__receive_rest(conn);
  if (conn->outgoing != NULL) ws__send_rest(conn);
  ws__deflate *deflate = ws__conn_deflate(conn);
  if (deflate != NULL) ws__deflate_release_idle(deflate);
}

static bool pending_event(ws_conn *conn, ws_conn_event *event) {
  if (conn->is_open_pending) {
    conn->is_open_pending = false;
    return ws__opening_open_event(conn, event);
  }
  if (conn->is_established && conn->opening != NULL) ws__opening_free(conn);
  if (conn->is_drain_pending && conn->state == WS_STATE_OPEN) {
    conn->is_drain_pending = false;
    event->type = WS_EVENT_DRAIN;
    return true;
  }
  return false;
}

/* Goes on with the input. Returns true if there is an event. */
static bool input_step(ws_conn *conn, ws_conn_event *event) {
  if (conn->is_deaf || conn->is_paused) return false;
  if (!conn->is_established) return ws__opening_step(conn, event);
  if (conn->input_len == 0 && !ws__receive_is_in_payload(conn)) return false;
  return ws__receive_step(conn, event);
}

bool ws_conn_next_event(ws_conn *conn, ws_conn_event *out_event) {
  if (conn->end != WS__END_NONE) return end_step(conn, out_event);

  ws__receive_release(conn);
  if (pending_event(conn, out_event) || input_step(conn, out_event)) {
    return true;
  }
  input_used(conn);
  if (conn->is_eof && !conn->is_paused) end_of_file(conn);
  time_step(conn);
  if (conn->state == WS_STATE_OPEN) return false; /* It has not ended. */
  if (conn->is_eof && conn->is_paused && !conn->is_deaf) return false;
  return end_step(conn, out_event);
}

/* -- Bytes out ------------------------------------------------------------- */

size_t ws_conn_output(const ws_conn *conn, ws_slice *out_slices, size_t max) {
  return ws__output_slices(&conn->output, out_slices, max);
}

/* The queue has become short, or empty. */
static void output_left(ws_conn *conn) {
  const uint64_t high_water = ws__conn_options(conn)->send_high_water;
  if (conn->is_above_high_water && conn->output.len <= high_water / 2) {
    conn->is_above_high_water = false;
    conn->is_drain_pending = true;
  }
  if (conn->output.len > 0) return;
  conn->pong_bytes = 0;
  const int err = ws__send_waiting_pong(conn);
  if (err != 0) ws__conn_fail(conn, err);
  ws__deflate *deflate = ws__conn_deflate(conn);
  if (deflate != NULL) ws__deflate_release_idle(deflate);
}

static void note_consumed(ws_conn *conn, size_t len) {
  conn->bytes_sent += len;
  conn->send_at = ws__conn_stamp(conn);
}

void ws__conn_consume_early(ws_conn *conn, size_t len) {
  ws__output_consume_early(&conn->output, ws__conn_allocator(conn), len);
  note_consumed(conn, len);
}

void ws__conn_settle(ws_conn *conn) {
  if (conn->output.last == NULL) return;
  ws__output_settle(&conn->output, ws__conn_allocator(conn));
  output_left(conn);
}

void ws_conn_consume(ws_conn *conn, size_t len) {
  assert(len <= conn->output.len);
  if (len > conn->output.len) len = conn->output.len;
  if (len == 0) return;
  ws__output_consume(&conn->output, ws__conn_allocator(conn), len);
  note_consumed(conn, len);
  output_left(conn);
}

int ws_conn_lend_output(ws_conn *conn, uint8_t *buffer, size_t len) {
  return ws__output_lend(&conn->output, buffer, len);
}

/* Ends the connection after output was lost. A frame may have left in part: no
 * other can follow it. */
static int output_lost(ws_conn *conn, int err) {
  if (err == 0) return 0;
  conn->is_close_sent = false;
  conn->is_cut = true;
  ws__conn_fail(conn, err);
  return err;
}

int ws_conn_own_output(ws_conn *conn) {
  return output_lost(conn,
                     ws__output_own(&conn->output, ws__conn_allocator(conn)));
}

int ws_conn_reclaim_output(ws_conn *conn) {
  return output_lost(
      conn, ws__output_reclaim(&conn->output, ws__conn_allocator(conn)));
}

/* -- Attributes ------------------------------------------------------------ */

ws_role ws_conn_role(const ws_conn *conn) {
  return conn->config->role;
}

ws_state ws_conn_state(const ws_conn *conn) {
  return (ws_state)conn->state;
}

uint64_t ws_conn_buffered_amount(const ws_conn *conn) {
  return conn->output.payload;
}

static uint64_t bytes_held(const ws_conn *conn) {
  return sizeof(*conn) + ws__opening_held(conn) + ws__agreed_held(conn) +
         ws__incoming_held(conn) + ws__outgoing_held(conn) +
         ws__output_held(&conn->output);
}

void ws_conn_get_stats(const ws_conn *conn, ws_conn_stats *out_stats) {
  *out_stats = (ws_conn_stats){
      .bytes_received = conn->bytes_received,
      .bytes_sent = conn->bytes_sent,
      .messages_received = conn->messages_received,
      .messages_sent = conn->messages_sent,
      .bytes_queued = conn->output.len,
      .bytes_held = bytes_held(conn),
      .rtt = conn->rtt,
  };
}
