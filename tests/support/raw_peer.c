#include "raw_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

#include "io/tls.h"
#include "proto/base64.h"
#include "proto/sha1.h"

enum {
  BACKLOG = 64,
  READ_SIZE = 65536,
  ACCEPT_SIZE = 28, /* Of Sec-WebSocket-Accept. */
  HEAD_MAX = 14     /* Of a frame. */
};

/* The key of the request, and of every mask (RFC 6455 1.3, 5.7). */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
static const uint8_t mask_key[4] = {0x37, 0xFA, 0x21, 0x3D};

/* -- Connections ----------------------------------------------------------- */

static raw *add_peer(net *n, int fd, bool is_client) {
  assert_true(fd >= 0);
  assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  raw *r = calloc(1, sizeof(*r));
  assert_non_null(r);
  *r = (raw){.next = n->peers, .net = n, .fd = fd, .is_client = is_client};
  n->peers = r;
  return r;
}

static struct sockaddr_in loopback(uint16_t port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Small writes leave at once, and the system keeps as much for a peer that does
 * not read on every machine. Accepted connections have this of their listener.
 */
static int new_tcp_socket(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  net_bound_buffer(fd, SO_RCVBUF);
  return fd;
}

/* Takes a port of 127.0.0.1. */
static raw *bind_somewhere(net *n) {
  raw *r = add_peer(n, new_tcp_socket(), false);
  struct sockaddr_in addr = loopback(0);
  socklen_t len = sizeof(addr);
  assert_int_equal(bind(r->fd, (struct sockaddr *)&addr, len), 0);
  assert_int_equal(getsockname(r->fd, (struct sockaddr *)&addr, &len), 0);
  r->port = ntohs(addr.sin_port);
  snprintf(r->url, sizeof(r->url), "ws://127.0.0.1:%u/", r->port);
  return r;
}

raw *raw_listen(net *n) {
  raw *r = bind_somewhere(n);
  assert_int_equal(listen(r->fd, BACKLOG), 0);
  return r;
}

const char *raw_nowhere(net *n) {
  return bind_somewhere(n)->url;
}

raw *raw_listen_unix(net *n, const char *name) {
  raw *r = add_peer(n, socket(AF_UNIX, SOCK_STREAM, 0), false);
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", net_path(n, name));
  assert_int_equal(bind(r->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
  assert_int_equal(listen(r->fd, BACKLOG), 0);
  snprintf(r->url, sizeof(r->url), "ws+unix:%s:/", addr.sun_path);
  return r;
}

raw *raw_accept(raw *listener) {
  net_wait_for(listener->net, listener->fd, POLLIN);
  raw *r = add_peer(listener->net, accept(listener->fd, NULL, NULL), false);
  r->listener = listener;
  return r;
}

bool raw_has_visitor(raw *listener) {
  struct pollfd watched = {.fd = listener->fd, .events = POLLIN};
  return poll(&watched, 1, 0) == 1;
}

raw *raw_connect(net *n, uint16_t port) {
  const int fd = new_tcp_socket();
  const struct sockaddr_in addr = loopback(port);
  assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)),
                   0);
  return add_peer(n, fd, true);
}

raw *raw_adopt(net *n, int fd) {
  return add_peer(n, fd, true);
}

void raw_finish(raw *r) {
  assert_int_equal(shutdown(r->fd, SHUT_WR), 0);
}

void raw_close(raw *r) {
  ws__tls_free(r->tls);
  r->tls = NULL;
  if (r->fd >= 0) close(r->fd);
  r->fd = -1;
}

void raw_deliver(const raw *r) {
#ifdef SIOCOUTQNSD
  const uint64_t started = net_clock();
  int unacknowledged = 0, unsent = 0;
  while (ioctl(r->fd, SIOCOUTQ, &unacknowledged) == 0 &&
         ioctl(r->fd, SIOCOUTQNSD, &unsent) == 0 && unacknowledged > unsent) {
    if (net_clock() - started > PATIENCE_MS) net_fail(r->net, "bytes arrive");
    poll(NULL, 0, 1);
  }
#else
  (void)r; /* Where there is no way to ask. */
#endif
}

void raw_reset(raw *r) {
  raw_deliver(r);
  const struct linger at_once = {.l_onoff = 1};
  assert_int_equal(
      setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
  raw_close(r);
}

void raw_free_all(net *n) {
  while (n->peers != NULL) {
    raw *r = n->peers;
    n->peers = r->next;
    raw_close(r);
    free(r->in);
    free(r->taken);
    free(r);
  }
}

bool raw_start_tls(raw *r, ws_tls_context *context, const char *host) {
  char detail[WS__DETAIL_SIZE];
  const int result =
      r->is_client
          ? ws__tls_connect(context, &ws__malloc, r->fd, host, r->port, &r->tls,
                            detail)
          : ws__tls_accept(context, &ws__malloc, r->fd, &r->tls, detail);
  if (result != 0) fail_msg("%s", detail);
  for (;;) {
    switch (ws__tls_handshake(r->tls)) {
    case WS__TLS_OK: return true;
    case WS__TLS_WANT_READ: net_wait_for(r->net, r->fd, POLLIN); break;
    case WS__TLS_WANT_WRITE: net_wait_for(r->net, r->fd, POLLOUT); break;
    case WS__TLS_EOF:
    case WS__TLS_TRUNCATED:
    case WS__TLS_FAILED: return false;
    }
  }
}

/* -- Bytes ----------------------------------------------------------------- */

/* What the transport has now, 0 for nothing. */
static size_t receive(raw *r, uint8_t *data, size_t len) {
  if (r->tls != NULL) {
    size_t count = 0;
    const ws__tls_status status = ws__tls_read(r->tls, data, len, &count);
    if (status == WS__TLS_OK) return count;
    r->is_ended = status != WS__TLS_WANT_READ && status != WS__TLS_WANT_WRITE;
    return 0;
  }
  const ssize_t count = recv(r->fd, data, len, 0);
  if (count > 0) return (size_t)count;
  r->is_ended = count == 0 || errno != EAGAIN;
  return 0;
}

/* Takes in what there is, without waiting. */
static void take_in(raw *r) {
  while (!r->is_ended) {
    if (r->in_cap - r->in_len < READ_SIZE) {
      r->in_cap = r->in_cap * 2 + READ_SIZE;
      r->in = realloc(r->in, r->in_cap);
      assert_non_null(r->in);
    }
    const size_t count = receive(r, r->in + r->in_len, READ_SIZE);
    if (count == 0) return;
    r->in_len += count;
  }
}

static void need(raw *r, size_t len) {
  while (r->in_len < len) {
    take_in(r);
    if (r->in_len >= len) return;
    if (r->is_ended) net_fail(r->net, "more bytes, but the peer has ended");
    net_wait_for(r->net, r->fd, POLLIN);
  }
}

static void drop(raw *r, size_t len) {
  r->in_len -= len;
  memmove(r->in, r->in + len, r->in_len);
}

const uint8_t *raw_read(raw *r, size_t len) {
  need(r, len);
  r->taken = realloc(r->taken, len + 1);
  assert_non_null(r->taken);
  memcpy(r->taken, r->in, len);
  r->taken[len] = '\0';
  drop(r, len);
  return (const uint8_t *)r->taken;
}

/* How much of it went out. To an end that has gone everything does. */
static size_t transmit(raw *r, const uint8_t *data, size_t len) {
  if (r->tls != NULL) {
    const struct iovec piece = {(void *)(uintptr_t)data, len};
    size_t count = 0;
    assert_int_not_equal(ws__tls_write(r->tls, &piece, 1, &count),
                         WS__TLS_FAILED);
    return count;
  }
  const ssize_t count = send(r->fd, data, len, MSG_NOSIGNAL);
  if (count >= 0) return (size_t)count;
  if (errno == EAGAIN) return 0;
  assert_true(errno == EPIPE || errno == ECONNRESET);
  return len;
}

void raw_write(raw *r, const void *data, size_t len) {
  const uint8_t *rest = data;
  while (len > 0) {
    const size_t count = transmit(r, rest, len);
    rest += count;
    len -= count;
    if (len > 0) net_wait_for(r->net, r->fd, POLLOUT);
  }
}

void raw_print(raw *r, const char *format, ...) {
  char text[32768];
  va_list args;
  va_start(args, format);
  const int len = vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  assert_true(len >= 0 && len < (int)sizeof(text));
  raw_write(r, text, (size_t)len);
}

bool raw_forward(raw *from, raw *to) {
  take_in(from);
  if (from->in_len == 0) return false;
  raw_write(to, from->in, from->in_len);
  from->in_len = 0;
  return true;
}

void assert_raw_ended(raw *r) {
  for (;;) {
    take_in(r);
    assert_int_equal(r->in_len, 0);
    if (r->is_ended) return;
    net_wait_for(r->net, r->fd, POLLIN);
  }
}

void raw_read_to_end(raw *r) {
  for (;;) {
    take_in(r);
    r->in_len = 0;
    if (r->is_ended) return;
    net_wait_for(r->net, r->fd, POLLIN);
  }
}

void assert_raw_silent(raw *r) {
  net_settle(r->net);
  take_in(r);
  assert_int_equal(r->in_len, 0);
  assert_false(r->is_ended);
}

/* -- The opening handshake ------------------------------------------------- */

/* Where the head in the input ends, 0 while it does not. */
static size_t head_size(const raw *r) {
  for (size_t i = 4; i <= r->in_len; i++)
    if (memcmp(r->in + i - 4, "\r\n\r\n", 4) == 0) return i;
  return 0;
}

const char *raw_head(raw *r) {
  while (head_size(r) == 0)
    need(r, r->in_len + 1);
  return (const char *)raw_read(r, head_size(r));
}

const char *raw_header(const char *head, const char *name) {
  static char value[1024];
  const char *found = NULL;
  for (const char *line = strstr(head, "\r\n") + 2;
       strncmp(line, "\r\n", 2) != 0; line = strstr(line, "\r\n") + 2) {
    if (strncasecmp(line, name, strlen(name)) != 0 ||
        line[strlen(name)] != ':') {
      continue;
    }
    assert_null(found);
    const char *start = line + strlen(name) + 1;
    start += strspn(start, " ");
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(start, "\r"), start);
    found = value;
  }
  return found;
}

/* RFC 6455 4.2.2 item 5.4. */
static const char *accept_of(const char *key) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  static char accept[ACCEPT_SIZE + 1];
  char text[128];
  uint8_t digest[WS__SHA1_SIZE];
  const int len = snprintf(text, sizeof(text), "%s%s", key, guid);
  ws__sha1(text, (size_t)len, digest);
  ws__base64_encode(digest, sizeof(digest), accept);
  return accept;
}

const char *raw_take_request(raw *r) {
  const int len = snprintf(r->request, sizeof(r->request), "%s", raw_head(r));
  assert_true(len < (int)sizeof(r->request));
  return r->request;
}

const char *raw_accept_key(const raw *r) {
  return accept_of(raw_header(r->request, "Sec-WebSocket-Key"));
}

void raw_answer(raw *r, const char *lines) {
  raw_print(r,
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: %s\r\n"
            "%s\r\n",
            raw_accept_key(r), lines != NULL ? lines : "");
}

void raw_upgrade(raw *r, const char *lines) {
  raw_take_request(r);
  raw_answer(r, lines);
}

raw *raw_visit(net *n, const ws_socket_options *options, net_end **out_end) {
  raw *listener = raw_listen(n);
  *out_end = net_connect(n, listener->url, options);
  raw *r = raw_accept(listener);
  raw_take_request(r);
  return r;
}

void raw_request(raw *r, const char *target, const char *lines) {
  raw_print(r,
            "GET %s HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Key: " KEY "\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "%s\r\n",
            target, lines != NULL ? lines : "");
}

static unsigned status_of(const char *head) {
  unsigned status = 0;
  assert_int_equal(sscanf(head, "HTTP/1.1 %3u ", &status), 1);
  return status;
}

const char *assert_raw_upgraded(raw *r) {
  const char *head = raw_head(r);
  assert_int_equal(status_of(head), 101);
  assert_string_equal(raw_header(head, "Upgrade"), "websocket");
  assert_string_equal(raw_header(head, "Connection"), "Upgrade");
  assert_string_equal(raw_header(head, "Sec-WebSocket-Accept"), accept_of(KEY));
  return head;
}

const char *assert_raw_refused(raw *r, unsigned status) {
  const char *head = raw_head(r);
  assert_int_equal(status_of(head), status);
  /* With 426 there is "Upgrade", too. */
  assert_memory_equal(raw_header(head, "Connection"), "close", 5);
  return head;
}

/* The library is the client. */
static void open_client(net *n, const ws_conn_options *conn, const char *lines,
                        net_end **out_end, raw **out_peer) {
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = conn;
  *out_peer = raw_visit(n, &options, out_end);
  raw_answer(*out_peer, lines);
}

/* The library is the server. */
static void open_server(net *n, const ws_conn_options *conn, const char *lines,
                        net_end **out_end, raw **out_peer) {
  ws_server_options options;
  ws_server_options_init(&options);
  options.conn = conn;
  if (n->server == NULL) net_serve(n, &options);
  unsigned index = 0;
  while (net_accepted(n, index) != NULL)
    index++;
  *out_peer = raw_connect(n, n->port);
  raw_request(*out_peer, "/", lines);
  assert_raw_upgraded(*out_peer);
  NET_UNTIL(n, net_accepted(n, index) != NULL);
  *out_end = net_accepted(n, index);
}

void raw_open(net *n, const ws_conn_options *conn, const char *extensions,
              net_end **out_end, raw **out_peer) {
  char lines[256] = "";
  if (extensions != NULL)
    snprintf(lines, sizeof(lines), "Sec-WebSocket-Extensions: %s\r\n",
             extensions);
  if (n->role == WS_ROLE_CLIENT) open_client(n, conn, lines, out_end, out_peer);
  else open_server(n, conn, lines, out_end, out_peer);
  NET_UNTIL(n, (*out_end)->is_open);
  assert_log(*out_end, "open");
}

/* -- Frames ---------------------------------------------------------------- */

/* The length with its shortest form, and the place of the mask bit. */
static size_t make_length(uint8_t *out, size_t len) {
  if (len < 126) {
    out[0] = (uint8_t)len;
    return 1;
  }
  const size_t size = len <= UINT16_MAX ? 2 : 8;
  out[0] = size == 2 ? 126 : 127;
  for (size_t i = 0; i < size; i++)
    out[1 + i] = (uint8_t)((uint64_t)len >> (8 * (size - 1 - i)));
  return 1 + size;
}

size_t raw_make_frame(const raw *r, uint8_t *out, uint8_t first_byte,
                      const void *payload, size_t len) {
  uint8_t *const start = out;
  *out++ = first_byte;
  uint8_t *const length = out;
  out += make_length(out, len);
  if (len > 0) memcpy(out + (r->is_client ? 4 : 0), payload, len);
  if (r->is_client) {
    *length |= 0x80;
    memcpy(out, mask_key, sizeof(mask_key));
    out += sizeof(mask_key);
    for (size_t i = 0; i < len; i++)
      out[i] ^= mask_key[i % 4];
  }
  return (size_t)(out + len - start);
}

void raw_frame(raw *r, uint8_t first_byte, const void *payload, size_t len) {
  uint8_t *frame = malloc(len + HEAD_MAX);
  assert_non_null(frame);
  raw_write(r, frame, raw_make_frame(r, frame, first_byte, payload, len));
  free(frame);
}

void raw_text(raw *r, const char *text) {
  raw_frame(r, 0x81, text, strlen(text));
}

/* The body of a Close frame. */
static size_t make_close(uint8_t body[125], uint16_t code, const char *reason) {
  if (code == 0) return 0;
  const size_t len = strlen(reason);
  body[0] = (uint8_t)(code >> 8);
  body[1] = (uint8_t)code;
  memcpy(body + 2, reason, len);
  return 2 + len;
}

void raw_send_close(raw *r, uint16_t code, const char *reason) {
  uint8_t body[125];
  raw_frame(r, 0x88, body, make_close(body, code, reason));
}

static uint64_t read_number(const uint8_t *data, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; i++)
    number = number << 8 | data[i];
  return number;
}

raw_view raw_read_frame(raw *r) {
  need(r, 2);
  raw_view view = {.first_byte = r->in[0]};
  const bool is_masked = (r->in[1] & 0x80) != 0;
  assert_int_equal(is_masked, !r->is_client); /* RFC 6455 5.1. */
  const unsigned form = r->in[1] & 0x7F;
  const size_t extra = form == 127 ? 8 : form == 126 ? 2 : 0;
  const size_t head = 2 + extra + (is_masked ? 4 : 0);
  need(r, head);
  view.len = extra == 0 ? form : (size_t)read_number(r->in + 2, extra);
  view.wire_len = head + view.len;
  uint8_t *frame = (uint8_t *)(uintptr_t)raw_read(r, view.wire_len);
  view.payload = frame + head;
  if (is_masked) {
    view.mask = (uint32_t)read_number(frame + head - 4, 4);
    for (size_t i = 0; i < view.len; i++)
      frame[head + i] ^= frame[head - 4 + i % 4];
  }
  return view;
}

void assert_raw_frame(raw *r, uint8_t first_byte, const void *payload,
                      size_t len) {
  const raw_view frame = raw_read_frame(r);
  assert_int_equal(frame.first_byte, first_byte);
  assert_int_equal(frame.len, len);
  assert_memory_equal(frame.payload, payload, len);
}

void assert_raw_text(raw *r, const char *text) {
  assert_raw_frame(r, 0x81, text, strlen(text));
}

void assert_raw_close(raw *r, uint16_t code, const char *reason) {
  uint8_t body[125];
  assert_raw_frame(r, 0x88, body, make_close(body, code, reason));
}
