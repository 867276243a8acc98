/* raw_peer.h - the other end of a connection, without the library: it writes
 * the bytes a test gives and shows which come.
 *
 * While a peer waits it turns the loop under test; it ends with the test. Of
 * the library it uses TLS, base64 and SHA-1 only. */
#ifndef RAW_PEER_H
#define RAW_PEER_H

#include "net_fixture.h"

struct raw {
  raw *next;
  net *net;
  raw *listener; /* Whose connection it is; NULL for a client. */
  int fd;        /* -1: closed. */
  uint16_t port;
  char url[128];       /* Of a listener: where clients find it. */
  bool is_client;      /* So it masks its frames. */
  bool is_ended;       /* The other end has. */
  struct ws__tls *tls; /* NULL: none. */
  uint8_t *in;         /* What came and was not looked at yet. */
  size_t in_len;
  size_t in_cap;
  char *taken;        /* What was read last. */
  char request[8192]; /* The head that raw_take_request() read. */
};

/* -- Connections ----------------------------------------------------------- */

/* Listens at 127.0.0.1, or at a Unix socket in the folder of the test. */
raw *raw_listen(net *n);
raw *raw_listen_unix(net *n, const char *name);

/* Takes a connection. */
raw *raw_accept(raw *listener);

/* Whether one waits to be taken. */
bool raw_has_visitor(raw *listener);

/* Connects to a port of 127.0.0.1, or takes over a connected descriptor. */
raw *raw_connect(net *n, uint16_t port);
raw *raw_adopt(net *n, int fd);

/* A URL at which nobody listens, nor will while the test runs. */
const char *raw_nowhere(net *n);

/* Ends sending; receiving goes on. */
void raw_finish(raw *r);

/* Closes: in good order; by a reset, once what was written has arrived. */
void raw_close(raw *r);
void raw_reset(raw *r);

/* Waits, without turning the loop, until what was written has come to the
 * system at the other end, as far as there is room. */
void raw_deliver(const raw *r);

/* TLS from here on, in the role that the peer has; a client names `host`.
 * Returns whether the handshake went well. */
bool raw_start_tls(raw *r, ws_tls_context *context, const char *host);

/* For the end of a test. */
void raw_free_all(net *n);

/* -- The opening handshake ------------------------------------------------- */

/* Reads a head, up to its empty line. Valid until the next call. */
const char *raw_head(raw *r);

/* The value of a header in a head, NULL if it is absent; it must not stand
 * there twice. Valid until the next call. */
const char *raw_header(const char *head, const char *name);

/* Reads the request, keeps it in `request` and returns that. */
const char *raw_take_request(raw *r);

/* The Sec-WebSocket-Accept that answers it. Valid until the next call. */
const char *raw_accept_key(const raw *r);

/* Answers it by a 101, with further header lines ("Name: value\r\n") if not
 * NULL. */
void raw_answer(raw *r, const char *lines);

/* Takes the request and answers it. */
void raw_upgrade(raw *r, const char *lines);

/* Has a client of the library come to a peer of its own, which has taken its
 * request. */
raw *raw_visit(net *n, const ws_socket_options *options, net_end **out_end);

/* What a client writes: a handshake, with further header lines if not NULL. */
void raw_request(raw *r, const char *target, const char *lines);

/* Expects a 101 that is right. Returns its head. */
const char *assert_raw_upgraded(raw *r);

/* Expects another answer. Returns its head. */
const char *assert_raw_refused(raw *r, unsigned status);

/* A connection between the library, in the role of the test, and a raw peer:
 * open, with an empty log. `conn` may be NULL; `extensions` is what the peer
 * offers or accepts, or NULL. */
void raw_open(net *n, const ws_conn_options *conn, const char *extensions,
              net_end **out_end, raw **out_peer);

/* -- Writing --------------------------------------------------------------- */

void raw_write(raw *r, const void *data, size_t len);

/* Formatted text. */
void raw_print(raw *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes on what has come from another peer, and says whether there was any. */
bool raw_forward(raw *from, raw *to);

/* A frame that begins with this byte, masked if the peer is a client. */
void raw_frame(raw *r, uint8_t first_byte, const void *payload, size_t len);

/* Whole messages. */
void raw_text(raw *r, const char *text);

/* A Close frame; with code 0 an empty one. */
void raw_send_close(raw *r, uint16_t code, const char *reason);

/* Appends a frame to a buffer that has room for 14 bytes more than the
 * payload, for tests that write several at once. */
size_t raw_make_frame(const raw *r, uint8_t *out, uint8_t first_byte,
                      const void *payload, size_t len);

/* -- Reading --------------------------------------------------------------- */

/* Waits for `len` bytes and takes them. Valid until the next call. */
const uint8_t *raw_read(raw *r, size_t len);

/* Takes the next frame: payload unmasked, first byte as it came. The frame must
 * be masked if and only if a client sent it. Valid until the next call. */
typedef struct raw_view {
  uint8_t first_byte;
  const uint8_t *payload;
  size_t len;
  size_t wire_len; /* All of it, the head included. */
  uint32_t mask;
} raw_view;

raw_view raw_read_frame(raw *r);

void assert_raw_frame(raw *r, uint8_t first_byte, const void *payload,
                      size_t len);
void assert_raw_text(raw *r, const char *text);
void assert_raw_close(raw *r, uint16_t code, const char *reason);

/* The other end has closed, by a reset or not, and nothing came before. */
void assert_raw_ended(raw *r);

/* The same, whatever came. */
void raw_read_to_end(raw *r);

/* Nothing has come, and the connection stands. */
void assert_raw_silent(raw *r);

#endif
