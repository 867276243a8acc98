/* test_socket_tls.c - WebSockets over TLS: who is let in and who is not, what
 * is said about it, and how connections end (security: ). What TLS
 * itself does is tested in unit/test_tls*.c. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/tls.h"
#include "net_tls.h"

#define NAMES "DNS:localhost,IP:127.0.0.1"

static cert *root;       /* Trusted. */
static cert *other_root; /* Not trusted. */
static cert *leaf;       /* For NAMES. */
static cert *visitor;    /* A client's. */

static int make_certificates(void **state) {
  (void)state;
  root = cert_new(&(cert_spec){.common_name = "Root", .is_ca = true});
  other_root = cert_new(&(cert_spec){.common_name = "Other", .is_ca = true});
  leaf = cert_new(
      &(cert_spec){.common_name = "leaf", .alt_names = NAMES, .issuer = root});
  visitor = cert_new(&(cert_spec){
      .common_name = "visitor", .issuer = root, .is_client = true});
  return 0;
}

static int free_certificates(void **state) {
  (void)state;
  cert_free(root);
  cert_free(other_root);
  cert_free(leaf);
  cert_free(visitor);
  return 0;
}

/* -- Connections ----------------------------------------------------------- */

static const char *secure_url(const raw *listener) {
  static char url[64];
  snprintf(url, sizeof(url), "wss://127.0.0.1:%u/", listener->port);
  return url;
}

/* As raw_open(), over TLS. */
static void open_tls(net *n, const ws_conn_options *conn, net_end **out_end,
                     raw **out_peer) {
  if (n->role == WS_ROLE_CLIENT) {
    raw *listener = raw_listen(n);
    *out_end = net_connect_tls(n, secure_url(listener),
                               net_tls_client(root, NULL), conn);
    *out_peer = raw_accept(listener);
    ws_tls_context *context = net_tls_server(leaf);
    assert_true(raw_start_tls(*out_peer, context, NULL));
    ws_tls_context_free(context);
    raw_upgrade(*out_peer, NULL);
  } else {
    ws_server_options options;
    ws_server_options_init(&options);
    options.conn = conn;
    net_serve_tls(n, &options, net_tls_server(leaf));
    *out_peer = raw_connect(n, n->port);
    ws_tls_context *context = net_tls_client(root, NULL);
    assert_true(raw_start_tls(*out_peer, context, "localhost"));
    ws_tls_context_free(context);
    raw_request(*out_peer, "/", NULL);
    assert_raw_upgraded(*out_peer);
    NET_UNTIL(n, net_accepted(n, 0) != NULL);
    *out_end = net_accepted(n, 0);
  }
  NET_UNTIL(n, (*out_end)->is_open);
  assert_log(*out_end, "open");
}

/* -- Open connections ------------------------------------------------------ */

static void echo(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type != WS_EVENT_MESSAGE || !end->is_server) return;
  ws_socket_send(end->socket, event->u.message.type, event->u.message.data,
                 event->u.message.len, WS_SEND_VALID_UTF8);
}

static void client_and_server_talk_over_tls(void **state) {
  net *n = *state;
  enum {
    LARGE = 1000000
  };
  char *large = malloc(LARGE);
  assert_non_null(large);
  memset(large, 'x', LARGE);
  n->on_event = echo;
  net_serve_tls(n, NULL, net_tls_server(leaf));
  assert_memory_equal(n->url, "wss://127.0.0.1:", 16);
  net_end *client =
      net_connect_tls(n, n->url, net_tls_client(root, NULL), NULL);
  NET_UNTIL(n, client->is_open);
  ws_socket_send_text(client->socket, "small", 5);
  ws_socket_send_text(client->socket, large, LARGE);
  assert_int_equal(ws_socket_buffered_amount(client->socket), LARGE + 5);
  NET_UNTIL(n, client->messages == 2);
  assert_last_message(client, large, LARGE);
  free(large);
  assert_int_equal(ws_socket_buffered_amount(client->socket), 0);
  ws_socket_close(client->socket, 1000, "bye", 3);
  net_finish(n, client);
  net_finish(n, net_accepted(n, 0));
  assert_log(client, "open, text small, text of 1000000, close 1000 clean bye");
}

static void a_connection_tells_what_protects_it(void **state) {
  net *n = *state;
  const ws_tls_identity identity = net_tls_identity(leaf);
  ws_tls_server_options options;
  ws_tls_server_options_init(&options);
  options.identities = &identity;
  options.identity_count = 1;
  options.client_auth = WS_TLS_CLIENT_AUTH_REQUIRED;
  options.client_ca.text = root->certificate;
  net_serve_tls(n, NULL, net_tls_server_with(&options));
  char url[64];
  snprintf(url, sizeof(url), "wss://localhost:%u/", n->port);
  net_end *client =
      net_connect_tls(n, url, net_tls_client(root, visitor), NULL);
  assert_false(ws_socket_tls_info(client->socket, NULL));
  NET_UNTIL(n, client->is_open && net_accepted(n, 0) != NULL);
  ws_tls_info info;
  assert_true(ws_socket_tls_info(client->socket, &info));
  assert_string_equal(info.version, "TLSv1.3");
  assert_string_equal(info.peer_subject, "CN=leaf");
  assert_string_equal(info.protocol, "http/1.1");
  assert_true(ws_socket_tls_info(net_accepted(n, 0)->socket, &info));
  assert_string_equal(info.server_name, "localhost");
  assert_string_equal(info.peer_subject, "CN=visitor");
}

static void messages_pass_between_peers_over_tls(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  open_tls(n, NULL, &end, &peer);
  raw_text(peer, "in");
  NET_UNTIL(n, end->messages == 1);
  ws_socket_send_text(end->socket, "out", 3);
  assert_raw_text(peer, "out");
  raw_send_close(peer, 1000, "");
  assert_raw_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "text in, close 1000 clean");
}

/* A peer that does not read, and then does. */
static void a_slow_reader_gets_everything_over_tls(void **state) {
  net *n = *state;
  enum {
    PIECE = 100000,
    PIECES = 100
  };
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.send_high_water = 1000;
  net_end *end;
  raw *peer;
  open_tls(n, &conn, &end, &peer);
  uint8_t *data = calloc(1, PIECE);
  assert_non_null(data);
  for (int i = 0; i < PIECES; i++)
    assert_int_equal(ws_socket_send_binary(end->socket, data, PIECE), 0);
  for (int i = 0; i < PIECES; i++)
    assert_raw_frame(peer, 0x82, data, PIECE);
  free(data);
  NET_UNTIL(n, ws_socket_buffered_amount(end->socket) == 0);
  assert_log(end, "drain");
}

static void pause_at_message(net *n, net_end *end, const ws_event *event) {
  (void)n;
  if (event->type == WS_EVENT_MESSAGE) ws_socket_pause(end->socket);
}

/* What comes in one read may be much, also the end behind it: a pause lets none
 * of it through and loses none. */
static void a_pause_over_tls_holds_back_what_has_been_read(void **state) {
  net *n = *state;
  enum {
    LARGE = 20000,
    MESSAGES = 8
  };
  uint8_t *data = malloc(LARGE);
  assert_non_null(data);
  net_serve_tls(n, NULL, net_tls_server(leaf));
  net_end *client =
      net_connect_tls(n, n->url, net_tls_client(root, NULL), NULL);
  NET_UNTIL(n, client->is_open && net_accepted(n, 0) != NULL);
  n->on_event = pause_at_message;
  ws_socket *server = net_accepted(n, 0)->socket;
  for (unsigned i = 1; i <= MESSAGES; i++) {
    memset(data, (int)i, LARGE);
    assert_int_equal(ws_socket_send_binary(server, data, LARGE), 0);
  }
  ws_socket_close(server, 1000, "", 0);
  for (unsigned i = 1; i <= MESSAGES; i++) {
    NET_UNTIL(n, client->messages == i);
    memset(data, (int)i, LARGE);
    assert_last_message(client, data, LARGE);
    net_settle(n);
    assert_int_equal(client->messages, i);
    ws_socket_resume(client->socket);
  }
  free(data);
  net_finish(n, client);
  net_finish(n, net_accepted(n, 0));
  assert_int_equal(client->message_bytes, MESSAGES * LARGE);
}

/* Row 374, over TLS: the server shakes hands on a connection that was accepted
 * elsewhere. */
static void an_adopted_connection_can_be_secure(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ws_tls_context *serving = net_tls_server(leaf);
  ws_socket *socket;
  assert_int_equal(
      ws_server_adopt(n->server, ends[1], serving, NULL, 0, &socket, NULL), 0);
  ws_tls_context_free(serving);
  raw *peer = raw_adopt(n, ends[0]);
  ws_tls_context *context = net_tls_client(root, NULL);
  assert_true(raw_start_tls(peer, context, "localhost"));
  ws_tls_context_free(context);
  raw_request(peer, "/", NULL);
  assert_raw_upgraded(peer);
}

/* Row 344: what was to be secret would be sent in the open. */
static void a_redirect_out_of_tls_is_not_followed(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n), *plain = raw_listen(n);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.max_redirects = 5;
  options.tls = net_tls_client(root, NULL);
  net_end *end = net_connect(n, secure_url(listener), &options);
  ws_tls_context_free(options.tls);
  raw *peer = raw_accept(listener);
  ws_tls_context *context = net_tls_server(leaf);
  assert_true(raw_start_tls(peer, context, NULL));
  ws_tls_context_free(context);
  raw_take_request(peer);
  raw_print(peer,
            "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
            plain->url);
  net_finish(n, end);
  assert_log(end, "error REDIRECT, close 1006 unclean");
  assert_string_equal(end->cause_text, "redirect from wss to ws");
  assert_false(raw_has_visitor(plain));
}

static void contexts_are_for_one_role_and_options_have_a_size(void **state) {
  (void)state;
  ws_tls_context *client = net_tls_client(root, NULL), *made;
  ws_error error;
  assert_int_equal(ws_tls_reload(client, NULL, 0, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_string_equal(error.message, "the context is a client's");
  ws_tls_context_free(client);
  static const ws_tls_client_options no_client;
  static const ws_tls_server_options no_server;
  assert_int_equal(ws_tls_client_new(&no_client, &made, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws_tls_server_new(&no_server, &made, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "ws_tls_server_options_init"));
}

/* -- Certificates ---------------------------------------------------------- */

/* What a client says about a server's certificate. Before that it writes
 * nothing. */
static void assert_refused(net *n, const cert *c, const char *url_host,
                           const char *expected) {
  ws_tls_context *context = net_tls_server(c);
  raw *listener = raw_listen(n);
  char url[64];
  snprintf(url, sizeof(url), "wss://%s:%u/", url_host, listener->port);
  net_end *end = net_connect_tls(n, url, net_tls_client(root, NULL), NULL);
  raw *peer = raw_accept(listener);
  assert_false(raw_start_tls(peer, context, NULL));
  ws_tls_context_free(context);
  net_finish(n, end);
  assert_log(end, "error CERTIFICATE, close 1006 unclean");
  assert_int_equal(end->cause.phase, WS_PHASE_HANDSHAKE);
  if (strstr(end->cause_text, expected) == NULL)
    fail_msg("expected: %s\nsaid: %s", expected, end->cause_text);
}

/* */
static void bad_certificates_are_refused_with_the_reason(void **state) {
  net *n = *state;
  const struct {
    cert_spec spec;
    const char *host;
    const char *expected;
  } cases[] = {
      {{.common_name = "a",
        .alt_names = NAMES,
        .issuer = root,
        .valid_from = -2,
        .valid_until = -1},
       "127.0.0.1",
       "expired"},
      {{.common_name = "a",
        .alt_names = NAMES,
        .issuer = root,
        .valid_from = 1,
        .valid_until = 2},
       "127.0.0.1",
       "not yet valid"},
      {{.common_name = "a", .alt_names = NAMES}, "127.0.0.1", "self"},
      {{.common_name = "a", .alt_names = NAMES, .issuer = other_root},
       "127.0.0.1",
       "issuer"},
      {{.common_name = "a", .alt_names = "DNS:b.test", .issuer = root},
       "localhost",
       "b.test"},
      {{.common_name = "a", .alt_names = "IP:127.0.0.2", .issuer = root},
       "127.0.0.1",
       "127.0.0.2"},
      {{.common_name = "localhost", .issuer = root}, "localhost", "no host"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    cert *c = cert_new(&cases[i].spec);
    assert_refused(n, c, cases[i].host, cases[i].expected);
    cert_free(c);
  }
}

/* Without a context of the application the system's trust decides. */
static void by_default_the_system_decides_whom_to_trust(void **state) {
  net *n = *state;
  net_serve_tls(n, NULL, net_tls_server(leaf));
  net_end *client = net_connect(n, n->url, NULL);
  net_finish(n, client);
  assert_non_null(strstr(transcript_text(&client->log), "close 1006 unclean"));
  assert_true(client->cause.err == WS_ERR_CERTIFICATE ||
              client->cause.err == WS_ERR_TLS); /* There may be no store. */
}

static void
verification_is_turned_off_by_an_insecure_option_only(void **state) {
  net *n = *state;
  cert *own = cert_new(&(cert_spec){.common_name = "self"});
  net_serve_tls(n, NULL, net_tls_server(own));
  cert_free(own);
  ws_tls_client_options options;
  ws_tls_client_options_init(&options);
  options.insecure_no_verify = true;
  net_end *client =
      net_connect_tls(n, n->url, net_tls_client_with(&options), NULL);
  NET_UNTIL(n, client->is_open);
}

/* Row 352. */
static void the_name_in_the_certificate_can_be_given(void **state) {
  net *n = *state;
  cert *named = cert_new(&(cert_spec){
      .common_name = "n", .alt_names = "DNS:inner.test", .issuer = root});
  net_serve_tls(n, NULL, net_tls_server(named));
  cert_free(named);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.tls = net_tls_client(root, NULL);
  options.server_name = "inner.test";
  net_end *client = net_connect(n, n->url, &options);
  ws_tls_context_free(options.tls);
  NET_UNTIL(n, client->is_open && net_accepted(n, 0) != NULL);
  ws_tls_info info;
  assert_true(ws_socket_tls_info(net_accepted(n, 0)->socket, &info));
  assert_string_equal(info.server_name, "inner.test");
}

static void a_server_shows_the_certificate_of_the_name_asked_for(void **state) {
  net *n = *state;
  cert *second = cert_new(&(cert_spec){
      .common_name = "second", .alt_names = "DNS:second.test", .issuer = root});
  const ws_tls_identity identities[] = {net_tls_identity(leaf),
                                        net_tls_identity(second)};
  ws_tls_server_options serving;
  ws_tls_server_options_init(&serving);
  serving.identities = identities;
  serving.identity_count = COUNT(identities);
  net_serve_tls(n, NULL, net_tls_server_with(&serving));
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.tls = net_tls_client(root, NULL);
  static const struct {
    const char *name, *subject;
  } cases[] = {{"localhost", "CN=leaf"}, {"second.test", "CN=second"}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    options.server_name = cases[i].name;
    net_end *client = net_connect(n, n->url, &options);
    NET_UNTIL(n, client->is_open);
    ws_tls_info info;
    assert_true(ws_socket_tls_info(client->socket, &info));
    assert_string_equal(info.peer_subject, cases[i].subject);
  }
  ws_tls_context_free(options.tls);
  cert_free(second);
}

static void a_server_can_insist_on_a_certificate_of_the_client(void **state) {
  net *n = *state;
  cert *stranger = cert_new(&(cert_spec){
      .common_name = "stranger", .issuer = other_root, .is_client = true});
  const ws_tls_identity identity = net_tls_identity(leaf);
  ws_tls_server_options options;
  ws_tls_server_options_init(&options);
  options.identities = &identity;
  options.identity_count = 1;
  options.client_auth = WS_TLS_CLIENT_AUTH_REQUIRED;
  options.client_ca.text = root->certificate;
  net_serve_tls(n, NULL, net_tls_server_with(&options));
  const cert *const shown[] = {NULL, stranger, visitor};
  for (size_t i = 0; i < COUNT(shown); i++) {
    net_end *client =
        net_connect_tls(n, n->url, net_tls_client(root, shown[i]), NULL);
    NET_UNTIL(n, client->is_open || client->is_over);
    assert_int_equal(client->is_open, shown[i] == visitor);
  }
  cert_free(stranger);
}

/* The alert that says why must not be overtaken by a reset, though more has
 * come than the server has read. */
static void whose_handshake_fails_is_not_reset(void **state) {
  net *n = *state;
  net_serve_tls(n, NULL, net_tls_server(leaf));
  raw *peer = raw_connect(n, n->port);
  uint8_t garbage[32 * 1024];
  memset(garbage, 'x', sizeof(garbage));
  raw_write(peer, garbage, sizeof(garbage));
  NET_UNTIL(n, net_accepted(n, 0) != NULL && net_accepted(n, 0)->is_over);
  ssize_t count;
  do {
    net_wait_for(n, peer->fd, POLLIN);
    count = recv(peer->fd, garbage, sizeof(garbage), 0);
  } while (count > 0);
  assert_int_equal(count, 0);
}

/* Who is connected stays; who comes next gets the new certificate. */
static void certificates_are_replaced_without_a_restart(void **state) {
  net *n = *state;
  cert *renewed = cert_new(&(cert_spec){
      .common_name = "renewed", .alt_names = NAMES, .issuer = root});
  ws_tls_context *context = net_tls_server(leaf);
  net_serve_tls(n, NULL, ws__tls_context_retain(context));
  net_end *before =
      net_connect_tls(n, n->url, net_tls_client(root, NULL), NULL);
  NET_UNTIL(n, before->is_open);
  const ws_tls_identity identity = net_tls_identity(renewed);
  assert_int_equal(ws_tls_reload(context, &identity, 1, NULL), 0);
  net_end *after = net_connect_tls(n, n->url, net_tls_client(root, NULL), NULL);
  NET_UNTIL(n, after->is_open);
  ws_tls_info info;
  assert_true(ws_socket_tls_info(after->socket, &info));
  assert_string_equal(info.peer_subject, "CN=renewed");
  assert_true(ws_socket_tls_info(before->socket, &info));
  assert_string_equal(info.peer_subject, "CN=leaf");
  assert_false(before->is_over);
  ws_tls_context_free(context);
  cert_free(renewed);
}

static void sessions_are_resumed(void **state) {
  net *n = *state;
  n->on_event = echo;
  net_serve_tls(n, NULL, net_tls_server(leaf));
  ws_tls_context *context = net_tls_client(root, NULL);
  for (int i = 0; i < 2; i++) {
    net_end *client =
        net_connect_tls(n, n->url, ws__tls_context_retain(context), NULL);
    NET_UNTIL(n, client->is_open);
    ws_tls_info info;
    assert_true(ws_socket_tls_info(client->socket, &info));
    assert_int_equal(info.is_resumed, i == 1);
    ws_socket_send_text(client->socket, "x", 1); /* Tickets come with it. */
    NET_UNTIL(n, client->messages == 1);
    ws_socket_close(client->socket, 1000, NULL, 0);
    net_finish(n, client);
  }
  ws_tls_context_free(context);
}

/* -- Ends ------------------------------------------------------------------ */

/* Without close_notify, and without a Close frame. */
static void truncation_is_no_clean_end(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  open_tls(n, NULL, &end, &peer);
  raw_text(peer, "before");
  raw_finish(peer);
  net_finish(n, end);
  assert_log(end, "text before, error UNEXPECTED_EOF, close 1006 unclean");
}

/* RFC 6455 has its own closing handshake, which is what counts. */
static void after_both_close_frames_truncation_does_no_harm(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  open_tls(n, NULL, &end, &peer);
  ws_socket_close(end->socket, 1000, NULL, 0);
  assert_raw_close(peer, 1000, "");
  raw_send_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "close 1000 clean");
}

/* Bytes that are no TLS, in the middle of a connection. */
static void garbage_fails_the_connection(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  open_tls(n, NULL, &end, &peer);
  ws__tls_free(peer->tls);
  peer->tls = NULL;
  raw_print(peer, "this is no record");
  net_finish(n, end);
  assert_log(end, "error TLS, close 1006 unclean");
}

/* more is sent after TLS has failed. */
static void sending_after_a_failure_does_no_harm(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  open_tls(n, NULL, &end, &peer);
  raw_reset(peer);
  ws_socket_send_text(end->socket, "x", 1);
  ws_socket_close(end->socket, 1000, NULL, 0);
  net_finish(n, end);
  assert_int_equal(end->last_type, WS_EVENT_CLOSE);
}

/* -- The wrong protocol ---------------------------------------------------- */

static void a_server_without_tls_is_no_server_for_wss(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  char url[64];
  snprintf(url, sizeof(url), "wss://127.0.0.1:%u/", n->port);
  net_end *client = net_connect_tls(n, url, net_tls_client(root, NULL), NULL);
  net_finish(n, client);
  assert_log(client, "error TLS, close 1006 unclean");
}

static void a_client_without_tls_gets_nothing_from_wss(void **state) {
  net *n = *state;
  net_serve_tls(n, NULL, net_tls_server(leaf));
  char url[64];
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", n->port);
  net_end *client = net_connect(n, url, NULL);
  net_finish(n, client);
  assert_false(client->is_open);
  assert_int_equal(net_accepted(n, 0) == NULL || !net_accepted(n, 0)->is_open,
                   1);
}

static void a_handshake_that_stalls_is_given_up(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.handshake_timeout = 50;
  raw *listener = raw_listen(n);
  net_end *client = net_connect_tls(n, secure_url(listener),
                                    net_tls_client(root, NULL), &conn);
  net_finish(n, client);
  assert_log(client, "error HANDSHAKE_TIMEOUT, close 1006 unclean");
  ws_server_options options;
  ws_server_options_init(&options);
  options.conn = &conn;
  net_serve_tls(n, &options, net_tls_server(leaf));
  raw *silent = raw_connect(n, n->port);
  assert_raw_ended(silent);
}

static void contexts_are_for_one_role(void **state) {
  net *n = *state;
  ws_tls_context *server = net_tls_server(leaf),
                 *client = net_tls_client(root, NULL);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.tls = server;
  ws_socket *socket;
  ws_error error = {0};
  assert_int_equal(
      ws_socket_open(n->loop, "wss://h/", 8, &options, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "tls"));
  options.tls = NULL;
  options.proxy_tls = server;
  assert_int_equal(
      ws_socket_open(n->loop, "ws://h/", 7, &options, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "proxy_tls"));
  assert_int_equal(ws_server_new(n->loop, NULL, &n->server, NULL), 0);
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.tls = client;
  assert_int_equal(ws_server_listen(n->server, &where, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "tls"));
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  assert_int_equal(
      ws_server_adopt(n->server, fds[0], client, NULL, 0, &socket, &error),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "tls"));
  close(fds[1]);
  ws_tls_context_free(server);
  ws_tls_context_free(client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(client_and_server_talk_over_tls),
      CASE(a_connection_tells_what_protects_it),
      BOTH_ROLES(messages_pass_between_peers_over_tls),
      BOTH_ROLES(a_slow_reader_gets_everything_over_tls),
      CASE(a_pause_over_tls_holds_back_what_has_been_read),
      CASE(an_adopted_connection_can_be_secure),
      CASE(a_redirect_out_of_tls_is_not_followed),
      CASE(contexts_are_for_one_role_and_options_have_a_size),
      CASE(bad_certificates_are_refused_with_the_reason),
      CASE(by_default_the_system_decides_whom_to_trust),
      CASE(verification_is_turned_off_by_an_insecure_option_only),
      CASE(the_name_in_the_certificate_can_be_given),
      CASE(a_server_shows_the_certificate_of_the_name_asked_for),
      CASE(a_server_can_insist_on_a_certificate_of_the_client),
      AS_SERVER(whose_handshake_fails_is_not_reset),
      CASE(certificates_are_replaced_without_a_restart),
      CASE(sessions_are_resumed),
      BOTH_ROLES(truncation_is_no_clean_end),
      BOTH_ROLES(after_both_close_frames_truncation_does_no_harm),
      BOTH_ROLES(garbage_fails_the_connection),
      BOTH_ROLES(sending_after_a_failure_does_no_harm),
      CASE(a_server_without_tls_is_no_server_for_wss),
      CASE(a_client_without_tls_gets_nothing_from_wss),
      CASE(a_handshake_that_stalls_is_given_up),
      CASE(contexts_are_for_one_role),
  };
  return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
