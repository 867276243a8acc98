/* socket_calls.c - what an application does with a socket. Each call goes to
 * the connection; the loop then gives the socket a turn, in which whatever the
 * call caused happens. */
#include "api/socket.h"
#include "io/net.h"

#include <assert.h>
#include <string.h>

static_assert(WS_ADDRESS_SIZE == WS__ADDR_TEXT_SIZE, "any address fits");

/* From this many bytes on a message that was just read is sent from where it
 * lies, */
#define BORROW_MIN ((size_t)4 * 1024)

/* and any other is written at once, to copy only what the system leaves. */
#define WRITE_MIN ((size_t)32 * 1024)

/* When so much waits it is written before the turn is over. */
#define FLUSH_MIN ((size_t)128 * 1024)

/* -- Sending --------------------------------------------------------------- */

/* Sends from the caller's memory; only what the system does not take is
 * copied. */
static int send_borrowed(ws_socket *socket, ws_message_type type,
                         const void *data, size_t len, unsigned flags) {
  const int err = ws_conn_send_borrowed(&socket->conn, type, data, len, flags);
  if (err != 0) return err;
  ws__socket_flush_early(socket);
  return ws_conn_own_output(&socket->conn);
}

/* Whether data lies in what the socket has just read: it then stays there until
 * the socket reads again or its turn ends. An echo needs no copy so. */
static bool is_from_this_turn(const ws_socket *socket, const void *data) {
  const ws_loop *loop = ws__socket_loop(socket);
  const uintptr_t at = (uintptr_t)data;
  const uintptr_t start = (uintptr_t)loop->receive_buffer;
  return loop->current == &socket->source && at >= start &&
         at < start + loop->receive_size;
}

static void flush_if_much(ws_socket *socket) {
  if (socket->conn.output.len >= FLUSH_MIN) ws__socket_flush_early(socket);
}

/* The bound on what waits is for what the system does not take, not for what it
 * has not been offered. */
static void make_room(ws_socket *socket, size_t len) {
  const uint64_t max = ws__conn_options(&socket->conn)->max_send_queue;
  const uint64_t used = socket->conn.output.len;
  if (used > 0 && (used > max || len >= max - used)) {
    ws__socket_flush_early(socket);
  }
}

static int send_by_size(ws_socket *socket, ws_message_type type,
                        const void *data, size_t len, unsigned flags) {
  if (socket->stage != WS__STAGE_FLOWING || len < BORROW_MIN) {
    return ws_conn_send(&socket->conn, type, data, len, flags);
  }
  if (is_from_this_turn(socket, data)) {
    socket->has_borrowed = true;
    return ws_conn_send_borrowed(&socket->conn, type, data, len, flags);
  }
  if (len >= WRITE_MIN && !socket->is_write_blocked) {
    return send_borrowed(socket, type, data, len, flags);
  }
  return ws_conn_send(&socket->conn, type, data, len, flags);
}

int ws_socket_send(ws_socket *socket, ws_message_type type, const void *data,
                   size_t len, unsigned flags) {
  ws__socket_enter(socket);
  make_room(socket, len);
  const int err = send_by_size(socket, type, data, len, flags);
  flush_if_much(socket);
  ws__socket_leave(socket);
  return err;
}

int ws_socket_send_message(ws_socket *socket, ws_message *message) {
  ws__socket_enter(socket);
  size_t len;
  (void)ws_message_get_data(message, &len);
  make_room(socket, len);
  const int err = ws_conn_send_message(&socket->conn, message);
  flush_if_much(socket);
  ws__socket_leave(socket);
  return err;
}

int ws_socket_ping(ws_socket *socket, const void *data, size_t len) {
  ws__socket_enter(socket);
  const int err = ws_conn_send_ping(&socket->conn, data, len);
  ws__socket_leave(socket);
  return err;
}

int ws_socket_pong(ws_socket *socket, const void *data, size_t len) {
  ws__socket_enter(socket);
  const int err = ws_conn_send_pong(&socket->conn, data, len);
  ws__socket_leave(socket);
  return err;
}

static bool can_send_whole(const ws_socket *socket) {
  const ws_conn *conn = &socket->conn;
  const ws_state state = ws_conn_state(conn);
  const bool is_in_fragments =
      conn->outgoing != NULL && conn->outgoing->type != 0;
  return state != WS_STATE_CONNECTING &&
         !(state == WS_STATE_OPEN && is_in_fragments);
}

static void fail_without_memory(ws_socket *socket) {
  ws__conn_fail(&socket->conn, WS_ERR_NO_MEMORY);
}

static const ws__sender_ops sender_ops = {.can_send = can_send_whole,
                                          .fail = fail_without_memory};

int ws_sender_new(ws_socket *socket, ws_sender **out_sender) {
  if (socket->stage == WS__STAGE_GONE) return WS_ERR_INVALID_STATE;
  ws__extra *extra = ws__socket_extra(socket);
  if (extra == NULL) return WS_ERR_NO_MEMORY;
  if (extra->sender == NULL) {
    extra->sender = ws__sender_make(
        socket, ws__socket_loop(socket)->inbox,
        ws__conn_options(&socket->conn)->max_send_queue, &sender_ops);
  }
  if (extra->sender == NULL) return WS_ERR_NO_MEMORY;
  *out_sender = ws__sender_retain(extra->sender);
  return 0;
}

/* -- Ending ---------------------------------------------------------------- */

int ws_socket_close(ws_socket *socket, uint16_t code, const char *reason,
                    size_t reason_len) {
  ws__socket_enter(socket);
  const int err = ws_conn_close(&socket->conn, code, reason, reason_len);
  if (err == 0) socket->is_closed_by_app = true;
  ws__socket_leave(socket);
  return err;
}

int ws_socket_close_with(ws_socket *socket, uint16_t code, const char *reason,
                         size_t reason_len) {
  ws__socket_enter(socket);
  const int err = ws_conn_close_with(&socket->conn, code, reason, reason_len);
  if (err == 0) socket->is_closed_by_app = true;
  ws__socket_leave(socket);
  return err;
}

void ws_socket_terminate(ws_socket *socket) {
  socket->is_closed_by_app = true;
  socket->is_paused = false;
  ws__socket_enter(socket);
  ws_conn_set_paused(&socket->conn, false);
  ws_conn_abort(&socket->conn, 0);
  ws__socket_leave(socket);
}

/* -- Flow ------------------------------------------------------------------ */

/* Before there is a connection nothing can be paused. After the transport is
 * lost a pause may wait for a drain that can no longer come. */
static bool can_pause(const ws_socket *socket) {
  return ws_socket_ready_state(socket) != WS_STATE_CONNECTING &&
         !socket->is_write_broken && !socket->is_failed;
}

static void set_paused(ws_socket *socket, bool is_paused) {
  is_paused = is_paused && can_pause(socket);
  socket->is_paused = is_paused;
  ws__socket_enter(socket);
  ws_conn_set_paused(&socket->conn, is_paused);
  ws__socket_leave(socket);
}

void ws_socket_pause(ws_socket *socket) {
  set_paused(socket, true);
}

void ws_socket_resume(ws_socket *socket) {
  set_paused(socket, false);
}

void ws_socket_set_streaming(ws_socket *socket, bool is_streaming) {
  ws_conn_set_streaming(&socket->conn, is_streaming);
}

/* -- Requests -------------------------------------------------------------- */

int ws__socket_respond_text(ws_socket *socket, uint16_t status,
                            const char *text) {
  static const ws_header plain = {"Content-Type", 12, "text/plain", 10};
  return ws_socket_respond(socket, status, &plain, 1, text, strlen(text), NULL);
}

void ws__socket_turn_away(ws_socket *socket) {
  (void)ws__socket_respond_text(socket, 503, "The server is closing.\n");
}

int ws_socket_accept(ws_socket *socket, const ws_conn_answer *answer,
                     const char **out_reason) {
  if (socket->endpoint->is_closing) {
    ws__socket_turn_away(socket);
    if (out_reason != NULL) *out_reason = "the server is closing";
    return WS_ERR_INVALID_STATE;
  }
  ws__socket_enter(socket);
  const int err = ws_conn_accept(&socket->conn, answer, out_reason);
  ws__socket_leave(socket);
  return err;
}

int ws_socket_respond(ws_socket *socket, uint16_t status,
                      const ws_header *headers, size_t header_count,
                      const void *body, size_t body_len,
                      const char **out_reason) {
  ws__socket_enter(socket);
  const int err = ws_conn_respond(&socket->conn, status, headers, header_count,
                                  body, body_len, out_reason);
  if (err == 0) socket->should_linger = true;
  ws__socket_leave(socket);
  return err;
}

/* -- Attributes ------------------------------------------------------------ */

ws_state ws_socket_ready_state(const ws_socket *socket) {
  return ws_conn_state(&socket->conn);
}

uint64_t ws_socket_buffered_amount(const ws_socket *socket) {
  return ws_conn_buffered_amount(&socket->conn);
}

const char *ws_socket_protocol(const ws_socket *socket) {
  return ws_conn_protocol(&socket->conn);
}

const char *ws_socket_extensions(const ws_socket *socket) {
  return ws_conn_extensions(&socket->conn);
}

ws_role ws_socket_role(const ws_socket *socket) {
  return ws_conn_role(&socket->conn);
}

ws_loop *ws_socket_loop(const ws_socket *socket) {
  const bool is_in_loop = ws__heap_contains(&socket->source.deadline);
  return is_in_loop ? ws__socket_loop(socket) : NULL;
}

ws_server *ws_socket_server(const ws_socket *socket) {
  return socket->endpoint->server;
}

void *ws_socket_user_data(const ws_socket *socket) {
  return socket->user_data;
}

void ws_socket_set_user_data(ws_socket *socket, void *user_data) {
  socket->user_data = user_data;
}

void ws_socket_get_stats(const ws_socket *socket, ws_conn_stats *out_stats) {
  ws_conn_get_stats(&socket->conn, out_stats);
}

const char *ws_socket_peer_address(const ws_socket *socket,
                                   char address[WS_ADDRESS_SIZE]) {
  ws__addr addr;
  const int fd = socket->source.node.fd;
  if (fd < 0 || ws__net_peer_addr(fd, &addr) != 0) {
    address[0] = '\0';
    return address;
  }
  return ws__addr_format(&addr, address);
}

bool ws_socket_tls_info(const ws_socket *socket, ws_tls_info *out_info) {
  ws__tls *tls = ws__socket_tls(socket);
  if (tls == NULL || socket->stage != WS__STAGE_FLOWING) return false;
  if (out_info != NULL) ws__tls_get_info(tls, out_info);
  return true;
}
