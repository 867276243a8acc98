/* socket_trace.c - what a trace is told of a socket: see io/trace.h. Called
 * only when there is one. */
#include "api/socket.h"

/* The socket's tap, made when first needed; NULL without memory, and then the
 * trace lacks its lines. */
static ws__tap *tap_of(ws_socket *socket) {
  ws_loop *loop = ws__socket_loop(socket);
  ws__extra *extra = ws__socket_extra(socket);
  if (extra == NULL) return NULL;
  if (extra->tap == NULL) {
    extra->tap = ws__alloc(&loop->allocator, sizeof(*extra->tap));
    if (extra->tap != NULL) ws__tap_init(extra->tap, &loop->trace);
  }
  return extra->tap;
}

void ws__socket_trace_input(ws_socket *socket, const void *data, size_t len) {
  ws__tap *tap = tap_of(socket);
  if (tap != NULL) ws__tap_read(tap, &tap->received, data, len);
}

void ws__socket_trace_output(ws_socket *socket, const struct iovec *pieces,
                             size_t len) {
  ws__tap *tap = tap_of(socket);
  if (tap == NULL) return;
  for (const struct iovec *piece = pieces; len > 0; piece++) {
    const size_t part = piece->iov_len < len ? piece->iov_len : len;
    ws__tap_read(tap, &tap->sent, piece->iov_base, part);
    len -= part;
  }
}

void ws__socket_trace_transport(ws_socket *socket) {
  const ws__tap *tap = tap_of(socket);
  char address[WS_ADDRESS_SIZE];
  if (tap == NULL) return;
  ws__trace_line(tap->trace, tap->number, '*', "%s %s",
                 socket->conn.config->role == WS_ROLE_SERVER ? "from"
                                                             : "connected to",
                 ws_socket_peer_address(socket, address));
}

void ws__socket_trace_tls(ws_socket *socket) {
  const ws__tap *tap = tap_of(socket);
  ws_tls_info info;
  if (tap == NULL) return;
  ws__tls_get_info(ws__socket_tls(socket), &info);
  ws__trace_line(tap->trace, tap->number, '*', "%s %s%s", info.version,
                 info.cipher, info.is_resumed ? " resumed" : "");
}

void ws__socket_trace_error(ws_socket *socket, const ws_cause *cause) {
  const ws__tap *tap = tap_of(socket);
  if (tap == NULL) return;
  ws__trace_line(tap->trace, tap->number, '*', "failed %s: %s",
                 ws_err_name(cause->err), cause->message);
}

void ws__socket_trace_close(ws_socket *socket, const ws_event_data *data) {
  const ws__tap *tap = tap_of(socket);
  if (tap == NULL) return;
  ws__trace_line(tap->trace, tap->number, '*', "closed %u %s%s%s",
                 (unsigned)data->close.code,
                 data->close.was_clean ? "clean" : "unclean",
                 data->close.reason_len > 0 ? " " : "", data->close.reason);
}

void ws__socket_trace_restart(const ws_socket *socket) {
  if (socket->extra != NULL && socket->extra->tap != NULL) {
    ws__tap_reset(socket->extra->tap);
  }
}
