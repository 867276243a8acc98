/* socket.c - the turns of a socket. A turn reads once, hands out the events one
 * by one, and writes what came of them in one go; what the loop lends for that
 * is given back at its end. */
#include "api/socket.h"
#include "base/list.h"
#include "io/linger.h"
#include "io/net.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Events of one socket before others get their turn, if any wait. */
#define EVENTS_PER_TURN 64

/* Bytes of a large message that are read in one turn. To leave it for others
 * and come back costs more than they wait: its memory has left the caches, and
 * that of many unfinished messages does not fit them. */
#define READ_ON_MAX ((size_t)1024 * 1024)

/* -- Life ------------------------------------------------------------------ */

static const ws__source_ops socket_ops;

static_assert(sizeof(ws_socket) <= 216, "an idle socket is small");

static void free_extra(ws_socket *socket, const ws_allocator *allocator) {
  if (socket->extra == NULL) return;
  ws__free(allocator, socket->extra->tap, sizeof(*socket->extra->tap));
  ws__free(allocator, socket->extra, sizeof(*socket->extra));
}

int ws__socket_new(ws__endpoint *endpoint, ws_conn_config *config, int fd,
                   ws__tls *tls, ws_socket **out_socket) {
  ws_loop *loop = endpoint->loop;
  ws_socket *socket = ws__alloc_zero(&loop->allocator, sizeof(*socket));
  if (socket == NULL) return WS_ERR_NO_MEMORY;
  if (ws__conn_init(&socket->conn, config, loop->now) != 0) goto fail;
  socket->source.ops = &socket_ops;
  socket->source.node.fd = -1;
  socket->endpoint = endpoint;
  socket->references = 1;
  if (tls != NULL && ws__socket_extra(socket) == NULL) goto fail_conn;
  if (ws__loop_add(loop, &socket->source) != 0) goto fail_conn;

  loop->holders++;
  loop->stats.sockets++;
  if (fd >= 0) ws__socket_attach(socket, fd, tls);
  *out_socket = socket;
  return 0;

fail_conn:
  ws__conn_deinit(&socket->conn);
  free_extra(socket, &loop->allocator);
fail:
  ws__free(&loop->allocator, socket, sizeof(*socket));
  return WS_ERR_NO_MEMORY;
}

ws_socket *ws_socket_retain(ws_socket *socket) {
  socket->references++;
  return socket;
}

void ws_socket_release(ws_socket *socket) {
  if (socket == NULL || --socket->references > 0) return;
  /* The loop may be gone; its allocator lives on in the configuration. */
  ws_conn_config *config = ws__config_ref(socket->conn.config);
  const ws_allocator *allocator = ws__config_allocator(config);
  socket->endpoint->ops->forget(socket);
  ws__conn_deinit(&socket->conn);
  free_extra(socket, allocator);
  ws__free(allocator, socket, sizeof(*socket));
  ws_conn_config_free(config);
}

void ws__socket_discard(ws_socket *socket) {
  ws_loop *loop = ws__socket_loop(socket);
  ws__loop_remove(loop, &socket->source);
  loop->holders--;
  loop->stats.sockets--;
  ws__conn_deinit(&socket->conn);
  free_extra(socket, &loop->allocator);
  ws__free(&loop->allocator, socket, sizeof(*socket));
}

ws__extra *ws__socket_extra(ws_socket *socket) {
  if (socket->extra == NULL) {
    socket->extra = ws__alloc_zero(&ws__socket_loop(socket)->allocator,
                                   sizeof(*socket->extra));
  }
  return socket->extra;
}

/* -- The transport --------------------------------------------------------- */

void ws__socket_attach(ws_socket *socket, int fd, ws__tls *tls) {
  assert(socket->stage == WS__STAGE_REACHING);
  socket->source.node = (ws__poller_node){.fd = fd};
  if (tls != NULL) socket->extra->tls = tls;
  socket->stage = tls != NULL ? WS__STAGE_TLS : WS__STAGE_FLOWING;
  if (ws__socket_is_traced(socket)) ws__socket_trace_transport(socket);
  ws__loop_schedule(ws__socket_loop(socket), &socket->source);
}

/* Closes the transport, if there is one. In a forked child it is the parent's,
 * whose peer must not hear of that. */
static void detach(ws_socket *socket) {
  ws_loop *loop = ws__socket_loop(socket);
  const int fd = socket->source.node.fd;
  (void)ws__loop_watch(loop, &socket->source, 0);
  socket->source.node.fd = -1;
  if (fd < 0) return;

  const bool can_hear = !socket->is_read_done && !socket->is_write_broken;
  ws__tls *tls = ws__socket_tls(socket);
  const bool is_ours = !ws__loop_is_foreign(loop);
  if (tls != NULL && socket->stage == WS__STAGE_FLOWING && is_ours) {
    (void)ws__tls_shutdown(tls);
  }
  ws__tls_free(tls);
  if (tls != NULL) socket->extra->tls = NULL;
  if (socket->should_linger && can_hear && is_ours &&
      ws__net_shutdown(fd) == 0) {
    ws__linger(loop, fd);
  } else {
    ws__net_close(fd);
  }
}

int ws__socket_restart(ws_socket *socket, ws_conn_config *config) {
  ws_conn fresh;
  const int err = ws__conn_init(&fresh, config, ws__socket_loop(socket)->now);
  if (err != 0) return err;
  detach(socket);
  ws__socket_trace_restart(socket);
  (void)ws_conn_reclaim_output(&socket->conn);
  ws_conn_set_streaming(&fresh, socket->conn.is_streaming);
  ws__conn_deinit(&socket->conn);
  memcpy(&socket->conn, &fresh, sizeof(fresh)); /* Nothing points into it. */
  socket->stage = WS__STAGE_REACHING;
  socket->is_paused = socket->is_read_done = socket->is_read_full = false;
  socket->is_write_blocked = socket->is_write_broken = false;
  socket->read_wants_write = socket->write_wants_read = false;
  socket->has_kept = socket->should_linger = false;
  socket->is_failed = socket->is_ended = socket->has_borrowed = false;
  socket->wants_turn = true;
  socket->system_error = 0;
  return 0;
}

/* There is nothing more to wait for, so a pause ends. */
static void fail(ws_socket *socket, int err) {
  socket->is_failed = true;
  socket->is_paused = false;
  ws_conn_set_paused(&socket->conn, false);
  ws_conn_abort(&socket->conn, err);
}

/* Keeps why the socket fails, or is going to. */
static void note_failure(ws_socket *socket, int err, int system_error,
                         const char *detail) {
  const bool is_known = system_error >= 0 && system_error <= UINT8_MAX;
  socket->system_error = is_known ? (uint8_t)system_error : 0;
  ws__loop_note_failure(ws__socket_loop(socket), &socket->source, err, detail);
}

void ws__socket_fail(ws_socket *socket, int err, int system_error,
                     const char *detail) {
  note_failure(socket, err, system_error, detail);
  fail(socket, err);
}

static bool has_tls_failed(const ws_socket *socket) {
  const ws__tls *tls = ws__socket_tls(socket);
  return tls != NULL && ws__tls_error(tls) != 0;
}

/* Keeps that the transport fails with `err`: errno, or TLS, says why. */
static void note_transport_failure(ws_socket *socket, int err) {
  const int error = errno;
  const ws__tls *tls = ws__socket_tls(socket);
  char text[WS__DETAIL_SIZE];
  if (has_tls_failed(socket)) {
    note_failure(socket, err, ws__tls_system_error(tls), ws__tls_detail(tls));
  } else {
    note_failure(socket, err, error, ws__errno_text(error, text));
  }
}

static void transport_failed(ws_socket *socket) {
  const int err = has_tls_failed(socket) ? ws__tls_error(ws__socket_tls(socket))
                                         : WS_ERR_TRANSPORT;
  note_transport_failure(socket, err);
  fail(socket, err);
}

/* Nothing can be written any more. Reading goes on, for what the peer said
 * before it went still counts. */
static void write_broke(ws_socket *socket) {
  socket->is_write_broken = true;
  note_transport_failure(socket, WS_ERR_TRANSPORT);
}

/* -- Bytes in -------------------------------------------------------------- */

/* Takes the output out of the receive buffer, which is needed again. Returns
 * whether that failed, which is events. */
static bool own_output(ws_socket *socket) {
  if (!socket->has_borrowed) return false;
  socket->has_borrowed = false;
  return ws_conn_own_output(&socket->conn) != 0;
}

/* Reads once and feeds the connection. Returns whether there may be events. */
static bool receive(ws_socket *socket) {
  ws_loop *loop = ws__socket_loop(socket);
  if (own_output(socket)) return true;
  uint8_t *place;
  size_t room;
  ws_conn_input(&socket->conn, &place, &room);
  if (room == 0) {
    place = loop->receive_buffer;
    room = loop->receive_size;
  }
  size_t len;
  const ws__stream_status status = ws__stream_read(
      socket->source.node.fd, ws__socket_tls(socket), place, room, &len);
  loop->stats.reads++;
  loop->stats.bytes_received += len;
  socket->is_read_full = status == WS__STREAM_OK && len == room;
  socket->read_wants_write = status == WS__STREAM_WANT_WRITE;
  switch (status) {
  case WS__STREAM_OK:
    if (ws__trace_is_on(&loop->trace)) {
      ws__socket_trace_input(socket, place, len);
    }
    (void)ws_conn_feed(&socket->conn, place, len);
    return true;
  case WS__STREAM_WANT_READ:
  case WS__STREAM_WANT_WRITE: return false;
  case WS__STREAM_EOF:
    socket->is_read_done = true;
    if (socket->is_write_broken) {
      fail(socket, WS_ERR_TRANSPORT); /* write_broke() has noted why. */
    } else {
      ws_conn_eof(&socket->conn);
    }
    return true;
  case WS__STREAM_FAILED: break;
  }
  socket->is_read_done = true;
  transport_failed(socket);
  return true;
}

void ws__socket_give(ws_socket *socket, const void *data, size_t len) {
  ws_conn *conn = &socket->conn;
  uint8_t *bytes; /* Not written to: keep_input() makes the copy that is. */
  memcpy(&bytes, &data, sizeof(data));
  if (ws__socket_is_traced(socket)) ws__socket_trace_input(socket, data, len);
  (void)ws_conn_feed(conn, bytes, len);
  (void)ws_conn_keep_input(conn);
}

static bool is_receiving(const ws_socket *socket) {
  return socket->stage == WS__STAGE_FLOWING && !socket->is_paused &&
         !socket->is_read_done;
}

/* What was kept of the input comes first. */
static bool can_receive(const ws_socket *socket) {
  return is_receiving(socket) && !socket->has_kept;
}

/* -- Bytes out ------------------------------------------------------------- */

static size_t pieces_of(const ws_socket *socket,
                        struct iovec pieces[WS__STREAM_PIECES]) {
  ws_slice slices[WS__STREAM_PIECES];
  const size_t count = ws_conn_output(&socket->conn, slices, WS__STREAM_PIECES);
  for (size_t i = 0; i < count; i++)
    pieces[i] = ws__net_piece(slices[i].data, slices[i].len);
  return count;
}

/* Writes once. Returns how many bytes the system took. */
static size_t write_some(ws_socket *socket) {
  if (socket->stage != WS__STAGE_FLOWING || socket->is_write_blocked ||
      socket->is_write_broken) {
    return 0;
  }
  struct iovec pieces[WS__STREAM_PIECES];
  const size_t count = pieces_of(socket, pieces);
  if (count == 0) return 0;

  ws_loop *loop = ws__socket_loop(socket);
  size_t len;
  const ws__stream_status status = ws__stream_write(
      socket->source.node.fd, ws__socket_tls(socket), pieces, count, &len);
  loop->stats.writes++;
  loop->stats.bytes_sent += len;
  if (ws__trace_is_on(&loop->trace) && len > 0) {
    ws__socket_trace_output(socket, pieces, len);
  }
  switch (status) {
  case WS__STREAM_OK: break;
  case WS__STREAM_WANT_WRITE: socket->is_write_blocked = true; break;
  case WS__STREAM_WANT_READ:
    socket->is_write_blocked = socket->write_wants_read = true;
    break;
  case WS__STREAM_EOF:
  case WS__STREAM_FAILED: write_broke(socket); break;
  }
  return len;
}

/* Writes all that the system takes. Returns whether that may have caused
 * events. */
static bool flush(ws_socket *socket) {
  bool has_written = false;
  size_t len;
  while (socket->conn.output.len > 0 && (len = write_some(socket)) > 0) {
    ws_conn_consume(&socket->conn, len);
    has_written = true;
  }
  if (!socket->is_write_broken || socket->is_failed) {
    return has_written && ws__conn_may_drain(&socket->conn);
  }
  /* What has been read but not been pulled comes first, in another turn. */
  if (ws__socket_loop(socket)->pulled == EVENTS_PER_TURN) return has_written;
  socket->has_kept = false; /* All of it has been pulled. */
  /* Pausing ends: it may wait for a drain that can no longer come. */
  socket->is_paused = false;
  ws_conn_set_paused(&socket->conn, false);
  if (can_receive(socket) && receive(socket)) return true;
  socket->is_read_done = true;
  fail(socket, WS_ERR_TRANSPORT);
  return true;
}

/* -- TLS ------------------------------------------------------------------- */

static void shake_hands(ws_socket *socket) {
  const ws__stream_status status =
      ws__stream_of_tls(ws__tls_handshake(ws__socket_tls(socket)));
  socket->read_wants_write = status == WS__STREAM_WANT_WRITE;
  switch (status) {
  case WS__STREAM_OK:
    socket->stage = WS__STAGE_FLOWING;
    if (ws__socket_is_traced(socket)) ws__socket_trace_tls(socket);
    break;
  case WS__STREAM_WANT_READ:
  case WS__STREAM_WANT_WRITE: break;
  case WS__STREAM_EOF:
    ws__socket_fail(socket, WS_ERR_TLS, 0,
                    "the peer ended the connection in the TLS handshake");
    break;
  case WS__STREAM_FAILED:
    transport_failed(socket);
    socket->should_linger = true; /* An alert says why. */
    break;
  }
}

/* -- Turns ----------------------------------------------------------------- */

static void begin(ws__source *source, unsigned ready) {
  ws_socket *socket = ws__socket_of_source(source);
  ws_loop *loop = ws__socket_loop(socket);
  ws_conn *conn = &socket->conn;
  loop->pulled = 0;
  if (socket->is_ended) return;
  ws_conn_tick(conn, loop->now);
  if (socket->stage == WS__STAGE_REACHING &&
      ws_conn_state(conn) == WS_STATE_CONNECTING) {
    socket->endpoint->ops->reach(socket, ready);
  }
  if (socket->stage == WS__STAGE_TLS) shake_hands(socket);
  if (socket->stage != WS__STAGE_FLOWING) return;

  const unsigned wanted =
      socket->write_wants_read ? WS__POLLER_READ : WS__POLLER_WRITE;
  if ((ready & wanted) != 0) {
    socket->is_write_blocked = socket->write_wants_read = false;
  }
  ws__conn_settle(conn);
  (void)ws_conn_lend_output(conn, loop->send_buffer, loop->send_size);
  /* When time is up, what has come in time may not have been looked at yet: a
   * turn of the loop takes in so many descriptors only. */
  const bool is_readable =
      (ready & (WS__POLLER_READ | WS__READY_DEADLINE)) != 0 ||
      (socket->read_wants_write && ready != 0) ||
      ws__stream_pending(ws__socket_tls(socket));
  if (is_readable && can_receive(socket)) (void)receive(socket);
}

/* Whether an error is of what lies below a connection, where system calls fail.
 */
static bool is_of_below(int err) {
  switch (err) {
  case WS_ERR_SYSTEM:
  case WS_ERR_TRANSPORT:
  case WS_ERR_RESOLVE:
  case WS_ERR_CONNECT:
  case WS_ERR_PROXY:
  case WS_ERR_TLS: return true;
  default: return false;
  }
}

/* Adds to a cause what is known of the failure of the transport. */
static void explain(ws_socket *socket, ws_cause *cause) {
  ws_loop *loop = ws__socket_loop(socket);
  const ws__source *source = &socket->source;
  char text[WS__DETAIL_SIZE];
  const char *words = ws__loop_tell_failure(loop, source, cause->err);
  if (is_of_below(cause->err)) cause->system_error = socket->system_error;
  if (words == NULL && cause->system_error != 0) {
    /* Others have failed since. */
    ws__loop_note_failure(loop, source, cause->err,
                          ws__errno_text(cause->system_error, text));
    words = ws__loop_tell_failure(loop, source, cause->err);
  }
  if (words != NULL) cause->message = words;
  if (cause->close_code != 0 || cause->status != 0) {
    socket->should_linger = true;
  }
  if (ws__socket_is_traced(socket)) ws__socket_trace_error(socket, cause);
}

/* Gives the event its place in the world of sockets. */
static void describe(ws_socket *socket, const ws_conn_event *event,
                     ws_event *out_event) {
  *out_event = (ws_event){
      .type = event->type,
      .socket = socket,
      .server = socket->endpoint->server,
      .u = event->u,
  };
  if (event->type == WS_EVENT_ERROR) explain(socket, &out_event->u.error);
}

/* The same for a message, which comes by the million: it gets only what it has,
 * and that by member, for a wide load of what was just stored in parts would
 * wait for all of it. */
static void describe_message(ws_socket *socket, const ws_conn_event *event,
                             ws_event *out_event) {
  out_event->type = WS_EVENT_MESSAGE;
  out_event->socket = socket;
  out_event->server = socket->endpoint->server;
  out_event->u.message.data = event->u.message.data;
  out_event->u.message.len = event->u.message.len;
  out_event->u.message.type = event->u.message.type;
  out_event->u.message.is_first = event->u.message.is_first;
  out_event->u.message.is_last = event->u.message.is_last;
}

/* Takes the next event of the connection, if it is to be handed out. */
static bool pull(ws_socket *socket, ws_event *out_event) {
  ws_loop *loop = ws__socket_loop(socket);
  ws_conn_event event;
  while (loop->pulled < EVENTS_PER_TURN && !socket->is_ended &&
         ws_conn_next_event(&socket->conn, &event)) {
    loop->pulled++;
    if (event.type == WS_EVENT_MESSAGE) {
      describe_message(socket, &event, out_event);
      return true;
    }
    describe(socket, &event, out_event);
    if (event.type == WS_EVENT_CLOSE) {
      socket->is_ended = true;
      if (ws__socket_is_traced(socket)) {
        ws__socket_trace_close(socket, &event.u);
      }
      detach(socket);
      socket->stage = WS__STAGE_GONE;
    }
    if (socket->endpoint->ops->filter(socket, out_event)) return true;
  }
  return false;
}

static unsigned interest_of(const ws_socket *socket) {
  unsigned interest = 0;
  if (socket->stage == WS__STAGE_TLS) {
    interest = socket->read_wants_write ? WS__POLLER_WRITE : WS__POLLER_READ;
  } else if (socket->stage == WS__STAGE_FLOWING) {
    if (is_receiving(socket)) {
      interest = socket->read_wants_write ? WS__POLLER_WRITE : WS__POLLER_READ;
    }
    if (socket->is_write_blocked) {
      interest |= socket->write_wants_read ? WS__POLLER_READ : WS__POLLER_WRITE;
    }
  }
  return interest;
}

/* Leaves nothing behind that the next socket needs, and says what to wait for.
 */
static void end_turn(ws_socket *socket) {
  ws_loop *loop = ws__socket_loop(socket);
  ws_conn *conn = &socket->conn;
  const bool is_cut_short = loop->pulled == EVENTS_PER_TURN;
  /* Without memory for it the connection has failed, which is events. */
  bool has_more = socket->wants_turn;
  socket->wants_turn = false;
  has_more = ws_conn_keep_input(conn) != 0 || has_more;
  has_more = own_output(socket) || has_more;
  has_more = ws_conn_reclaim_output(conn) != 0 || has_more;
  socket->has_kept = is_cut_short;

  /* A client on its way watches its descriptors itself. */
  if (socket->stage != WS__STAGE_REACHING &&
      ws__loop_watch(loop, &socket->source, interest_of(socket)) != 0) {
    const int error = errno;
    char text[WS__DETAIL_SIZE];
    ws__socket_fail(socket, WS_ERR_SYSTEM, error, ws__errno_text(error, text));
    has_more = true;
  }
  if (has_more || is_cut_short ||
      (can_receive(socket) && ws__stream_pending(ws__socket_tls(socket)))) {
    ws__loop_schedule_later(loop, &socket->source);
  }
  ws__loop_set_deadline_lazily(loop, &socket->source, ws_conn_deadline(conn));
}

static bool next(ws__source *source, ws_event *out_event) {
  ws_socket *socket = ws__socket_of_source(source);
  ws_loop *loop = ws__socket_loop(socket);
  const uint64_t before = loop->stats.bytes_received;
  for (;;) {
    if (pull(socket, out_event)) return true;
    if (socket->is_ended) {
      ws__socket_end(socket);
      return false;
    }
    if (socket->extra != NULL && socket->extra->sender != NULL) {
      ws__sender_go_on(socket->extra->sender);
    }
    if (flush(socket)) continue;
    if (loop->pulled == EVENTS_PER_TURN) {
      if (!ws__loop_has_time(loop)) break;
      loop->pulled = 0;
      continue;
    }
    /* A message that is read to where it belongs comes in many reads. */
    const bool may_read_on = socket->is_read_full && can_receive(socket) &&
                             loop->stats.bytes_received - before < READ_ON_MAX;
    if (!may_read_on) break;
    socket->is_read_full = false;
    if (!receive(socket)) break;
  }
  end_turn(socket);
  return false;
}

void ws__socket_end(ws_socket *socket) {
  ws_loop *loop = ws__socket_loop(socket);
  (void)own_output(socket);
  (void)ws_conn_reclaim_output(&socket->conn);
  detach(socket);
  socket->stage = WS__STAGE_GONE;
  ws__loop_remove(loop, &socket->source);
  loop->holders--;
  loop->stats.sockets--;
  if (socket->extra != NULL && socket->extra->sender != NULL) {
    ws__sender_end(socket->extra->sender);
    socket->extra->sender = NULL;
  }
  socket->endpoint->ops->leave(socket);
  ws_socket_release(socket);
}

/* The loop ends. What the system takes at once still goes out. */
static void drop(ws__source *source) {
  ws_socket *socket = ws__socket_of_source(source);
  ws_conn *conn = &socket->conn;
  if (!ws__loop_is_foreign(ws__socket_loop(socket))) {
    (void)ws_conn_close_with(conn, WS_CLOSE_GOING_AWAY, "", 0);
    (void)flush(socket);
  }
  ws_conn_abort(conn, 0);
  ws_conn_event event;
  while (ws_conn_next_event(conn, &event))
    socket->is_ended = event.type == WS_EVENT_CLOSE;
  ws__socket_end(socket);
}

static const ws__source_ops socket_ops = {
    .begin = begin, .next = next, .drop = drop};

ws_socket *ws__socket_iterate(const ws__endpoint *endpoint, size_t *at) {
  const ws__heap *heap = &endpoint->loop->deadlines;
  if (*at > heap->len) *at = heap->len;
  while (*at > 0) {
    (*at)--;
    ws__source *source =
        WS__CONTAINER_OF(heap->slots[*at].node, ws__source, deadline);
    if (source->ops != &socket_ops) continue;
    ws_socket *socket = ws__socket_of_source(source);
    if (socket->endpoint == endpoint) return socket;
  }
  return NULL;
}

/* -- Between turns --------------------------------------------------------- */

void ws__socket_enter(ws_socket *socket) {
  if (socket->stage == WS__STAGE_GONE) return;
  ws_loop *loop = ws__socket_loop(socket);
  ws__loop_refresh(loop);
  ws_conn_tick(&socket->conn, loop->now);
}

void ws__socket_leave(ws_socket *socket) {
  if (socket->stage == WS__STAGE_GONE) return;
  ws__loop_schedule(ws__socket_loop(socket), &socket->source);
}

void ws__socket_flush_early(ws_socket *socket) {
  size_t len;
  while ((len = write_some(socket)) > 0)
    ws__conn_consume_early(&socket->conn, len);
}
