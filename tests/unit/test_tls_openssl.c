/* test_tls_openssl.c - a TLS connection from its handshake to its end, over a
 * descriptor that does what it should not. */
#include "test.h"
#include "test_alloc.h"

#include "tls_pair.h"
#include "tls_wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define HOST "a.test"

static cert *root;
static cert *leaf;
static const ws_allocator *const memory = &ws__malloc;

/* -- Both ends ------------------------------------------------------------- */

static int make_certificates(void **state) {
  (void)state;
  root = cert_new(&(cert_spec){.common_name = "Root", .is_ca = true});
  leaf = cert_new(&(cert_spec){.common_name = "leaf",
                               .alt_names = "DNS:" HOST ",DNS:*." HOST,
                               .issuer = root});
  return 0;
}

static int free_certificates(void **state) {
  (void)state;
  cert_free(root);
  cert_free(leaf);
  return 0;
}

static void set_up_version(tls_pair *pair, ws_tls_version version) {
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {.ca.text = root->certificate,
                                        .policy.max_version = version};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair_init(pair, memory, &client, &server);
}

static void set_up(tls_pair *pair) {
  set_up_version(pair, WS_TLS_VERSION_DEFAULT);
}

static void set_up_open(tls_pair *pair) {
  set_up(pair);
  tls_pair_open(pair, HOST);
}

static ws__tls_status write_text(ws__tls *tls, const char *text) {
  const struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
  size_t n;
  return ws__tls_write(tls, &piece, 1, &n);
}

static void assert_reads(ws__tls *tls, ws__tls_status expected) {
  uint8_t buf[100];
  size_t n;
  assert_int_equal(ws__tls_read(tls, buf, sizeof(buf), &n), expected);
  if (expected != WS__TLS_OK) assert_int_equal(n, 0);
}

static void assert_reads_text(ws__tls *tls, const char *text) {
  char buf[100];
  size_t n;
  assert_int_equal(ws__tls_read(tls, buf, sizeof(buf), &n), WS__TLS_OK);
  assert_int_equal(n, strlen(text));
  assert_memory_equal(buf, text, n);
}

static void assert_failed(ws__tls *tls, int error, const char *detail) {
  if (ws__tls_error(tls) != error || strcmp(ws__tls_detail(tls), detail) != 0) {
    fail_msg("expected %s: %s\nfound %s: %s", ws_err_name(error), detail,
             ws_err_name(ws__tls_error(tls)), ws__tls_detail(tls));
  }
}

/* -- A peer that does what ours would not ---------------------------------- */

static SSL *stranger(int fd, bool is_server, int version) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_method());
  SSL_CTX_set_min_proto_version(ctx, version);
  SSL_CTX_set_max_proto_version(ctx, version);
  SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
  SSL_CTX_use_certificate(ctx, leaf->x509);
  SSL_CTX_use_PrivateKey(ctx, leaf->pkey);
  SSL *ssl = SSL_new(ctx);
  SSL_CTX_free(ctx);
  SSL_set_fd(ssl, fd);
  if (is_server) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
  }
  return ssl;
}

/* Shakes hands with one of ours until both have done what they can. */
static ws__tls_status shake_with(SSL *ssl, ws__tls *tls) {
  ws__tls_status status = WS__TLS_WANT_READ;
  for (int turn = 0; turn < 20; turn++) {
    SSL_do_handshake(ssl);
    status = ws__tls_handshake(tls);
  }
  ERR_clear_error();
  return status;
}

/* Replaces the client of a pair by a stranger and opens the connection. */
static SSL *open_with_strange_client(tls_pair *pair, int version) {
  set_up(pair);
  tls_pair_connect(pair, HOST);
  SSL *ssl = stranger(pair->client_fd, false, version);
  assert_int_equal(shake_with(ssl, pair->server), WS__TLS_OK);
  return ssl;
}

/* -- Shaking hands --------------------------------------------------------- */

static void both_roles_shake_hands_and_know_of_each_other(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  assert_carried(pair.client, pair.server, "to the server");
  assert_carried(pair.server, pair.client, "to the client");
  ws_tls_info info;
  ws__tls_get_info(pair.client, &info);
  assert_string_equal(info.version, "TLSv1.3");
  assert_string_equal(info.cipher, "TLS_AES_256_GCM_SHA384");
  assert_string_equal(info.protocol, "http/1.1");
  assert_string_equal(info.server_name, HOST);
  assert_string_equal(info.peer_subject, "CN=leaf");
  assert_false(info.is_resumed);
  ws__tls_get_info(pair.server, &info);
  assert_string_equal(info.version, "TLSv1.3");
  assert_string_equal(info.protocol, "http/1.1");
  assert_string_equal(info.server_name, HOST);
  assert_string_equal(info.peer_subject, "");
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_OK);
  assert_int_equal(ws__tls_error(pair.client), 0);
  assert_string_equal(ws__tls_detail(pair.client), "");
  tls_pair_free(&pair);
}

static void single_bytes_and_interrupted_calls_change_nothing(void **state) {
  (void)state;
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    tls_pair pair;
    set_up_version(&pair, v);
    net = (wire){.most = 1, .interrupts = true};
    tls_pair_open(&pair, HOST);
    assert_carried(pair.client, pair.server, "to the server");
    assert_carried(pair.server, pair.client, "to the client");
    tls_pair_free(&pair);
  }
}

static void a_blocked_descriptor_is_waited_for(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  net.is_blocked = true;
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_WANT_WRITE);
  assert_int_equal(ws__tls_handshake(pair.server), WS__TLS_WANT_READ);
  net.is_blocked = false;
  tls_pair_shake(&pair);
  assert_int_equal(pair.client_status, WS__TLS_OK);
  assert_reads(pair.server, WS__TLS_WANT_READ);
  net.is_blocked = true;
  assert_int_equal(write_text(pair.client, "later"), WS__TLS_WANT_WRITE);
  net.is_blocked = false;
  assert_carried(pair.client, pair.server, "later");
  tls_pair_free(&pair);
}

static void a_peer_that_goes_in_the_handshake_is_told_so(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_WANT_READ);
  char hello[4096];
  assert_true(recv(pair.server_fd, hello, sizeof(hello), 0) > 0);
  tls_pair_end_server(&pair);
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TLS,
                "the peer closed the connection during the handshake");
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_FAILED);
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  tls_pair_free(&pair);
}

static void each_failing_system_call_is_told(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  net.send_error = ENETDOWN;
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TLS, "Network is down");
  net = (wire){.recv_error = EIO};
  assert_int_equal(ws__tls_handshake(pair.server), WS__TLS_FAILED);
  assert_failed(pair.server, WS_ERR_TLS, "Input/output error");

  net = (wire){0};
  tls_pair_open(&pair, HOST);
  net.recv_error = ECONNRESET;
  assert_reads(pair.client, WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TRANSPORT, "Connection reset by peer");
  assert_reads(pair.client, WS__TLS_FAILED);
  assert_int_equal(write_text(pair.client, "x"), WS__TLS_FAILED);
  net = (wire){.send_error = ENOBUFS};
  assert_int_equal(write_text(pair.server, "x"), WS__TLS_FAILED);
  assert_failed(pair.server, WS_ERR_TRANSPORT, "No buffer space available");
  tls_pair_free(&pair);
}

/* */
static void a_count_that_cannot_be_ends_the_connection(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  net.lie = 1 << 20;
  assert_int_equal(write_text(pair.client, "x"), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TRANSPORT, "Input/output error");
  assert_reads(pair.server, WS__TLS_FAILED);
  assert_failed(pair.server, WS_ERR_TRANSPORT, "Input/output error");
  net = (wire){0};
  tls_pair_open(&pair, HOST);
  net.is_silent = true;
  assert_int_equal(write_text(pair.client, "x"), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TRANSPORT, "Input/output error");
  tls_pair_free(&pair);
}

static void errors_left_by_other_libraries_do_not_matter(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
#define POLLUTE() ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH)
  POLLUTE();
  assert_int_equal(ws__tls_handshake(pair.server), WS__TLS_WANT_READ);
  POLLUTE();
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_WANT_READ);
  tls_pair_shake(&pair);
  assert_int_equal(pair.client_status, WS__TLS_OK);
  POLLUTE();
  assert_reads(pair.server, WS__TLS_WANT_READ);
  net.is_blocked = true;
  POLLUTE();
  assert_int_equal(write_text(pair.client, "x"), WS__TLS_WANT_WRITE);
  POLLUTE();
  assert_int_equal(ws__tls_shutdown(pair.server), WS__TLS_WANT_WRITE);
  net.is_blocked = false;
  tls_pair_disconnect(&pair);

  /* Nor do we leave any. */
  tls_pair_open(&pair, HOST);
  tls_pair_end_server(&pair);
  assert_reads(pair.client, WS__TLS_TRUNCATED);
  assert_int_equal(ERR_peek_error(), 0);
  tls_pair_free(&pair);
  set_up(&pair);
  assert_int_equal(ERR_peek_error(), 0);
  tls_pair_free(&pair);
}

/* -- Reading --------------------------------------------------------------- */

static void one_read_takes_all_records_that_have_come(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  assert_reads(pair.client, WS__TLS_WANT_READ); /* Tickets. */
  for (int i = 0; i < 3; i++)
    assert_int_equal(write_text(pair.server, "0123456789"), WS__TLS_OK);
  net.recvs = 0;
  assert_reads_text(pair.client, "012345678901234567890123456789");
  assert_int_equal(net.recvs, 1);
  assert_false(ws__tls_pending(pair.client));
  assert_reads(pair.client, WS__TLS_WANT_READ);
  tls_pair_free(&pair);
}

static void what_was_read_ahead_is_pending(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  for (int i = 0; i < 2; i++) {
    pair.client_status = ws__tls_handshake(pair.client);
    if (i == 0) pair.server_status = ws__tls_handshake(pair.server);
  }
  assert_int_equal(pair.client_status, WS__TLS_OK);
  assert_int_equal(write_text(pair.client, "0123456789"), WS__TLS_OK);
  assert_int_equal(ws__tls_handshake(pair.server), WS__TLS_OK);
  assert_true(ws__tls_pending(pair.server));
  net.recv_error = EIO; /* It is not asked. */
  uint8_t buf[6];
  size_t n;
  assert_int_equal(ws__tls_read(pair.server, buf, sizeof(buf), &n), WS__TLS_OK);
  assert_int_equal(n, sizeof(buf));
  assert_true(ws__tls_pending(pair.server));
  assert_int_equal(ws__tls_read(pair.server, buf, sizeof(buf), &n), WS__TLS_OK);
  assert_int_equal(n, 4);
  assert_false(ws__tls_pending(pair.server));
  tls_pair_free(&pair);
}

static void a_part_of_a_record_is_not_pending_for_ever(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  assert_int_equal(write_text(pair.client, "0123456789"), WS__TLS_OK);
  assert_reads_text(pair.server, "0123456789");
  net = (wire){.is_blocked = true, .room = 20};
  assert_int_equal(write_text(pair.client, "0123456789"), WS__TLS_WANT_WRITE);
  assert_reads(pair.server, WS__TLS_WANT_READ);
  assert_false(ws__tls_pending(pair.server));
  tls_pair_free(&pair);
}

/* A cut connection is told from one that has ended; both stay what they are. */
static void an_end_is_told_from_a_cut(void **state) {
  (void)state;
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    for (int is_clean = 0; is_clean < 2; is_clean++) {
      tls_pair pair;
      set_up_version(&pair, v);
      tls_pair_open(&pair, HOST);
      assert_int_equal(write_text(pair.server, "bye"), WS__TLS_OK);
      if (is_clean) {
        assert_int_equal(ws__tls_shutdown(pair.server), WS__TLS_OK);
      }
      tls_pair_end_server(&pair);
      assert_reads_text(pair.client, "bye");
      for (int i = 0; i < 2; i++) {
        assert_reads(pair.client, is_clean ? WS__TLS_EOF : WS__TLS_TRUNCATED);
        assert_true(ws__tls_pending(pair.client));
      }
      assert_int_equal(ws__tls_error(pair.client), 0);
      assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
      tls_pair_free(&pair);
    }
  }
}

static void a_cut_inside_a_record_is_a_cut(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  net.most = 7;
  assert_int_equal(
      send(pair.server_fd, "\x17\x03\x03\x00\x20half", 9, MSG_NOSIGNAL), 7);
  net.most = 0;
  tls_pair_end_server(&pair);
  assert_reads(pair.client, WS__TLS_TRUNCATED);
  tls_pair_free(&pair);
}

static void one_may_write_after_the_peers_end(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  assert_int_equal(ws__tls_shutdown(pair.server), WS__TLS_OK);
  assert_reads(pair.client, WS__TLS_EOF);
  assert_carried(pair.client, pair.server, "still here");
  tls_pair_free(&pair);
}

static void what_follows_bytes_is_told_by_the_next_read(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  assert_int_equal(write_text(pair.server, "data"), WS__TLS_OK);
  assert_int_equal(ws__tls_shutdown(pair.server), WS__TLS_OK);
  assert_reads_text(pair.client, "data");
  net.recv_error = EIO; /* Nothing comes from there any more. */
  assert_true(ws__tls_pending(pair.client));
  assert_reads(pair.client, WS__TLS_EOF);

  net = (wire){0};
  tls_pair_open(&pair, HOST);
  assert_int_equal(write_text(pair.server, "data"), WS__TLS_OK);
  assert_int_equal(send(pair.server_fd, "rubbish", 7, MSG_NOSIGNAL), 7);
  assert_reads_text(pair.client, "data");
  assert_true(ws__tls_pending(pair.client));
  assert_reads(pair.client, WS__TLS_FAILED);
  tls_pair_free(&pair);
}

/* -- Writing --------------------------------------------------------------- */

static void small_pieces_share_a_record(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  char text[] = "abc";
  const struct iovec pieces[] = {{text, 1}, {NULL, 0},     {text + 1, 1},
                                 {text, 0}, {text + 2, 1}, {NULL, 0}};
  size_t n;
  net.sends = 0;
  assert_int_equal(ws__tls_write(pair.client, pieces,
                                 sizeof(pieces) / sizeof(pieces[0]), &n),
                   WS__TLS_OK);
  assert_int_equal(n, 3);
  assert_int_equal(net.sends, 1);
  assert_reads_text(pair.server, "abc");

  assert_int_equal(ws__tls_write(pair.client, pieces, 0, &n), WS__TLS_OK);
  assert_int_equal(ws__tls_write(pair.client, pieces + 1, 1, &n), WS__TLS_OK);
  assert_int_equal(n, 0);
  assert_int_equal(net.sends, 1);
  tls_pair_free(&pair);
}

/* What was not taken comes again: from another place, cut in other pieces and
 * with more behind it. */
static void a_full_descriptor_takes_bytes_in_order(void **state) {
  (void)state;
  enum {
    TOTAL = 1 << 20,
    PIECE = 5000
  };
  uint8_t *sent = malloc(TOTAL);
  uint8_t *got = malloc(TOTAL);
  for (size_t i = 0; i < TOTAL; i++)
    sent[i] = (uint8_t)(i * 7 + i / 251);
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  const int small = 1;
  setsockopt(pair.client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  tls_pair_shake(&pair);

  size_t out = 0, in = 0;
  bool had_to_wait = false;
  for (unsigned turn = 0; in < TOTAL; turn++) {
    const size_t left = TOTAL - out;
    uint8_t *moved = malloc(left + 1);
    memcpy(moved, sent + out, left);
    const size_t first = left < PIECE + turn ? left : PIECE + turn;
    const struct iovec pieces[] = {{moved, first},
                                   {moved + first, left - first}};
    size_t n;
    const ws__tls_status status = ws__tls_write(pair.client, pieces, 2, &n);
    assert_true(status == WS__TLS_OK || status == WS__TLS_WANT_WRITE);
    had_to_wait |= status == WS__TLS_WANT_WRITE;
    out += n;
    free(moved);
    while (ws__tls_read(pair.server, got + in, TOTAL + 1 - in, &n) ==
           WS__TLS_OK)
      in += n;
  }
  assert_true(had_to_wait);
  assert_int_equal(in, TOTAL);
  assert_memory_equal(sent, got, TOTAL);
  free(sent);
  free(got);
  tls_pair_free(&pair);
}

/* The program would die of SIGPIPE. */
static void a_peer_that_is_gone_is_an_error_and_no_signal(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  assert_reads(pair.client, WS__TLS_WANT_READ);
  assert_int_equal(write_text(pair.server, "last words"), WS__TLS_OK);
  tls_pair_end_server(&pair);
  assert_int_equal(write_text(pair.client, "x"), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TRANSPORT, "Broken pipe");
  assert_int_equal(write_text(pair.client, "x"), WS__TLS_FAILED);
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  assert_reads_text(pair.client, "last words");
  assert_reads(pair.client, WS__TLS_TRUNCATED);
  tls_pair_free(&pair);

  set_up_open(&pair);
  tls_pair_end_server(&pair);
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  tls_pair_free(&pair);
}

static void an_end_waits_for_the_record_before_it(void **state) {
  (void)state;
  tls_pair pair;
  set_up_open(&pair);
  net.is_blocked = true;
  assert_int_equal(write_text(pair.client, "half"), WS__TLS_WANT_WRITE);
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  net.is_blocked = false;
  assert_carried(pair.client, pair.server, "half");
  net.is_blocked = true;
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_WANT_WRITE);
  net.is_blocked = false;
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
  assert_reads(pair.server, WS__TLS_EOF);
  tls_pair_free(&pair);
}

/* -- Resuming -------------------------------------------------------------- */

/* Connects, reads what tickets there are, and returns whether it was resumed.
 */
static bool resumes(tls_pair *pair, const char *host) {
  tls_pair_open(pair, host);
  assert_carried(pair->server, pair->client, "tickets");
  ws_tls_info client, server;
  ws__tls_get_info(pair->client, &client);
  ws__tls_get_info(pair->server, &server);
  assert_int_equal(client.is_resumed, server.is_resumed);
  if (client.is_resumed) {
    assert_string_equal(client.peer_subject, "CN=leaf");
    assert_string_equal(client.protocol, "http/1.1");
  }
  return client.is_resumed;
}

static void a_client_resumes_what_it_remembers_of_a_host(void **state) {
  (void)state;
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    tls_pair pair;
    set_up_version(&pair, v);
    assert_false(resumes(&pair, HOST));
    for (int i = 0; i < 3; i++)
      assert_true(resumes(&pair, HOST));
    /* The certificate is for this host too, but that was not verified. */
    assert_false(resumes(&pair, "b." HOST));
    tls_pair_free(&pair);
  }
}

static void a_ticket_of_tls_1_3_is_used_once(void **state) {
  (void)state;
  tls_pair pair;
  set_up_version(&pair, WS_TLS_VERSION_1_3);
  assert_false(resumes(&pair, HOST));
  ws_tls_info info;
  tls_pair_open(&pair, HOST);
  ws__tls_get_info(pair.client, &info);
  assert_true(info.is_resumed);
  tls_pair_open(&pair, HOST);
  ws__tls_get_info(pair.client, &info);
  assert_false(info.is_resumed);
  tls_pair_free(&pair);
}

static void a_client_remembers_64_hosts(void **state) {
  (void)state;
  enum {
    HOSTS = 65
  };
  tls_pair pair;
  set_up_version(&pair, WS_TLS_VERSION_1_2);
  for (int i = 0; i < HOSTS; i++) {
    char host[] = "x00." HOST;
    host[1] = (char)('A' + i % 26);
    host[2] = (char)('0' + i / 26);
    assert_false(resumes(&pair, host));
  }
  assert_true(resumes(&pair, "xB0." HOST));
  assert_true(resumes(&pair, "xM2." HOST));
  assert_false(resumes(&pair, "xA0." HOST));
  tls_pair_free(&pair);
}

static void a_session_from_another_server_is_replaced(void **state) {
  (void)state;
  tls_pair pair, other;
  set_up(&pair);
  set_up(&other);
  assert_false(resumes(&pair, HOST));
  ws_tls_context *kept = pair.server_context;
  pair.server_context = other.server_context;
  assert_false(resumes(&pair, HOST));
  assert_true(resumes(&pair, HOST));
  pair.server_context = kept;
  tls_pair_free(&pair);
  tls_pair_free(&other);
}

/* -- Peers that are not as they should be ---------------------------------- */

static void a_peer_of_tls_1_1_is_refused(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  SSL *client = stranger(pair.client_fd, false, TLS1_1_VERSION);
  assert_int_equal(shake_with(client, pair.server), WS__TLS_FAILED);
  assert_failed(pair.server, WS_ERR_TLS,
                "the peer offers no TLS version allowed here "
                "(unsupported protocol)");
  SSL_free(client);

  tls_pair_connect(&pair, HOST);
  SSL *server = stranger(pair.server_fd, true, TLS1_1_VERSION);
  assert_int_equal(shake_with(server, pair.client), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TLS,
                "alert from the peer: protocol version");
  SSL_free(server);
  tls_pair_free(&pair);
}

static void a_peer_without_a_certificate_is_refused(void **state) {
  (void)state;
  tls_pair pair;
  set_up_version(&pair, WS_TLS_VERSION_1_2);
  tls_pair_connect(&pair, HOST);
  SSL *server = stranger(pair.server_fd, true, TLS1_2_VERSION);
  SSL_set_cipher_list(server, "aNULL:@SECLEVEL=0");
  assert_int_equal(shake_with(server, pair.client), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TLS,
                "alert from the peer: handshake failure");
  SSL_free(server);
  tls_pair_free(&pair);
}

static void a_plain_peer_is_recognized(void **state) {
  (void)state;
  static const char request[] = "GET / HTTP/1.1\r\n\r\n";
  static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  send(pair.client_fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
  assert_int_equal(ws__tls_handshake(pair.server), WS__TLS_FAILED);
  assert_failed(pair.server, WS_ERR_TLS,
                "the peer speaks HTTP without TLS (http request)");

  tls_pair_connect(&pair, HOST);
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_WANT_READ);
  send(pair.server_fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
  assert_int_equal(ws__tls_handshake(pair.client), WS__TLS_FAILED);
  assert_failed(pair.client, WS_ERR_TLS,
                "the peer does not speak TLS (wrong version number)");
  tls_pair_free(&pair);
}

/* Whatever bytes come, in the handshake or behind it: one error, no hang. */
static void rubbish_is_an_error(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len;
  } rows[] = {
      {"\x00\x00\x00\x00\x00\x00\x00", 7},
      {"\xff\xff\xff\xff\xff\xff\xff", 7},
      {"\x17\x03\x03\x00\x00 ", 6},                /* No bytes in it. */
      {"\x17\x03\x03\x00\x05xxxxx", 10},           /* No tag. */
      {"\x17\x03\x03\x41\x01xxxxx", 10},           /* 2^14 + 257 bytes. */
      {"\x15\x03\x03\x00\x02\x02\x28", 7},         /* A plain alert. */
      {"\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9}, /* HelloRequest. */
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    for (int is_open = 0; is_open < 2; is_open++) {
      tls_pair pair;
      set_up(&pair);
      tls_pair_connect(&pair, HOST);
      if (is_open) tls_pair_shake(&pair);
      send(pair.client_fd, rows[i].bytes, rows[i].len, MSG_NOSIGNAL);
      shutdown(pair.client_fd, SHUT_WR);
      uint8_t buf[10];
      size_t n;
      const ws__tls_status status =
          is_open ? ws__tls_read(pair.server, buf, sizeof(buf), &n)
                  : ws__tls_handshake(pair.server);
      assert_int_equal(status, WS__TLS_FAILED);
      assert_int_equal(ws__tls_error(pair.server), WS_ERR_TLS);
      assert_string_not_equal(ws__tls_detail(pair.server), "");
      tls_pair_free(&pair);
    }
  }
}

static void records_without_data_are_counted(void **state) {
  (void)state;
  tls_pair pair;
  SSL *ssl = open_with_strange_client(&pair, TLS1_3_VERSION);
  /* With data between them they may go on for ever. */
  for (int i = 0; i < 100; i++) {
    SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(SSL_write(ssl, "x", 1), 1);
    assert_reads_text(pair.server, "x");
  }
  for (int i = 0; i < 33; i++) {
    SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(SSL_do_handshake(ssl), 1);
  }
  assert_reads(pair.server, WS__TLS_FAILED);
  assert_failed(pair.server, WS_ERR_TLS,
                "the peer sends TLS records without data");
  SSL_free(ssl);
  tls_pair_free(&pair);
}

static void a_key_update_is_answered_by_the_next_write(void **state) {
  (void)state;
  tls_pair pair;
  SSL *ssl = open_with_strange_client(&pair, TLS1_3_VERSION);
  SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
  assert_int_equal(SSL_write(ssl, "x", 1), 1);
  net.is_blocked = true;
  assert_reads_text(pair.server, "x");
  assert_int_equal(write_text(pair.server, "y"), WS__TLS_WANT_WRITE);
  net.is_blocked = false;
  assert_int_equal(write_text(pair.server, "y"), WS__TLS_OK);
  char y;
  assert_int_equal(SSL_read(ssl, &y, 1), 1);
  assert_int_equal(y, 'y');
  SSL_free(ssl);
  tls_pair_free(&pair);
}

/* Keys change between records that travel together, both ways, and the answer
 * leaves with what waits. */
static void keys_change_among_many_records(void **state) {
  (void)state;
  enum {
    LEN = 3 * WS__TLS_RECORD_MAX,
    ROOM = 4 * LEN
  };
  tls_pair pair;
  SSL *ssl = open_with_strange_client(&pair, TLS1_3_VERSION);
  uint8_t *sent = malloc(LEN);
  uint8_t *got = malloc(ROOM);
  for (size_t i = 0; i < LEN; i++)
    sent[i] = (uint8_t)(i * 7 + i / 251);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(SSL_write(ssl, sent, LEN), LEN);
    SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
  }
  assert_int_equal(SSL_write(ssl, "x", 1), 1);
  size_t n;
  assert_int_equal(ws__tls_read(pair.server, got, ROOM, &n), WS__TLS_OK);
  assert_int_equal(n, 2 * LEN + 1);
  assert_memory_equal(got, sent, LEN);
  assert_memory_equal(got + LEN, sent, LEN);
  assert_int_equal(got[2 * LEN], 'x');

  for (size_t room = 0; room < LEN; room += 5000) {
    SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
    assert_int_equal(SSL_write(ssl, "x", 1), 1);
    assert_reads_text(pair.server, "x");
    net = (wire){.is_blocked = true, .room = room};
    const struct iovec whole = {sent, LEN};
    assert_int_equal(ws__tls_write(pair.server, &whole, 1, &n),
                     WS__TLS_WANT_WRITE);
    assert_reads(pair.server, WS__TLS_WANT_READ);
    net.is_blocked = false;
    const struct iovec rest = {sent + n, LEN - n};
    assert_int_equal(ws__tls_write(pair.server, &rest, 1, &n), WS__TLS_OK);
    for (size_t in = 0; in < LEN; in += n)
      assert_int_equal(SSL_read_ex(ssl, got + in, LEN - in, &n), 1);
    assert_memory_equal(got, sent, LEN);
  }
  free(sent);
  free(got);
  SSL_free(ssl);
  tls_pair_free(&pair);
}

static void nobody_can_renegotiate(void **state) {
  (void)state;
  tls_pair pair;
  SSL *ssl = open_with_strange_client(&pair, TLS1_2_VERSION);
  SSL_renegotiate(ssl);
  SSL_do_handshake(ssl);
  assert_reads(pair.server, WS__TLS_WANT_READ);
  assert_true(SSL_do_handshake(ssl) <= 0);
  assert_true(ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION);
  ERR_clear_error();
  SSL_free(ssl);
  tls_pair_free(&pair);
}

/* ALPN: http/1.1 or nothing. */
static void a_client_of_another_protocol_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *offer;
    size_t len;
    bool is_fine;
  } rows[] = {
      {"", 0, true},
      {"\x02h2\x08http/1.1", 12, true},
      {"\x02h2", 3, false},
      {"\x08http/1.0", 9, false},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tls_pair pair;
    set_up(&pair);
    tls_pair_connect(&pair, HOST);
    SSL *ssl = stranger(pair.client_fd, false, TLS1_3_VERSION);
    SSL_set_alpn_protos(ssl, (const unsigned char *)rows[i].offer,
                        (unsigned)rows[i].len);
    const ws__tls_status status = shake_with(ssl, pair.server);
    if (rows[i].is_fine) {
      assert_int_equal(status, WS__TLS_OK);
      ws_tls_info info;
      ws__tls_get_info(pair.server, &info);
      assert_string_equal(info.protocol, rows[i].len > 0 ? "http/1.1" : "");
    } else {
      assert_int_equal(status, WS__TLS_FAILED);
      assert_failed(pair.server, WS_ERR_TLS,
                    "the client does not offer http/1.1 (ALPN) (no application "
                    "protocol)");
    }
    SSL_free(ssl);
    tls_pair_free(&pair);
  }
}

/* -- Lifetimes ------------------------------------------------------------- */

static void a_context_lives_as_long_as_its_connections(void **state) {
  (void)state;
  tls_pair pair;
  set_up(&pair);
  tls_pair_connect(&pair, HOST);
  ws__tls_context_retain(pair.client_context);
  ws__tls_context_release(pair.client_context);
  ws__tls_context_release(pair.client_context);
  ws__tls_context_release(pair.server_context);
  pair.client_context = NULL;
  pair.server_context = NULL;
  tls_pair_shake(&pair);
  assert_int_equal(pair.client_status, WS__TLS_OK);
  assert_carried(pair.server, pair.client, "and a ticket");
  tls_pair_free(&pair);
  ws__tls_context_release(NULL);
  ws__tls_free(NULL);
}

/* Many threads share the contexts while the certificates change. */
static tls_pair shared;

static void *connect_often(void *arg) {
  (void)arg;
  tls_pair own = shared;
  for (int i = 0; i < 50; i++) {
    tls_pair_open(&own, HOST);
    assert_carried(own.server, own.client, "tickets");
  }
  tls_pair_disconnect(&own);
  return NULL;
}

static void a_context_serves_many_threads(void **state) {
  (void)state;
  enum {
    THREADS = 3
  };
  pthread_t threads[THREADS];
  set_up(&shared);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, connect_often, NULL), 0);
  const ws_tls_identity identity = tls_identity(leaf);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(ws__tls_reload(shared.server_context, &identity, 1, NULL),
                     0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  tls_pair_free(&shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(both_roles_shake_hands_and_know_of_each_other,
                             reset_wire),
      cmocka_unit_test_setup(single_bytes_and_interrupted_calls_change_nothing,
                             reset_wire),
      cmocka_unit_test_setup(a_blocked_descriptor_is_waited_for, reset_wire),
      cmocka_unit_test_setup(a_peer_that_goes_in_the_handshake_is_told_so,
                             reset_wire),
      cmocka_unit_test_setup(each_failing_system_call_is_told, reset_wire),
      cmocka_unit_test_setup(a_count_that_cannot_be_ends_the_connection,
                             reset_wire),
      cmocka_unit_test_setup(errors_left_by_other_libraries_do_not_matter,
                             reset_wire),
      cmocka_unit_test_setup(one_read_takes_all_records_that_have_come,
                             reset_wire),
      cmocka_unit_test_setup(what_was_read_ahead_is_pending, reset_wire),
      cmocka_unit_test_setup(a_part_of_a_record_is_not_pending_for_ever,
                             reset_wire),
      cmocka_unit_test_setup(an_end_is_told_from_a_cut, reset_wire),
      cmocka_unit_test_setup(a_cut_inside_a_record_is_a_cut, reset_wire),
      cmocka_unit_test_setup(one_may_write_after_the_peers_end, reset_wire),
      cmocka_unit_test_setup(what_follows_bytes_is_told_by_the_next_read,
                             reset_wire),
      cmocka_unit_test_setup(small_pieces_share_a_record, reset_wire),
      cmocka_unit_test_setup(a_full_descriptor_takes_bytes_in_order,
                             reset_wire),
      cmocka_unit_test_setup(a_peer_that_is_gone_is_an_error_and_no_signal,
                             reset_wire),
      cmocka_unit_test_setup(an_end_waits_for_the_record_before_it, reset_wire),
      cmocka_unit_test_setup(a_client_resumes_what_it_remembers_of_a_host,
                             reset_wire),
      cmocka_unit_test_setup(a_ticket_of_tls_1_3_is_used_once, reset_wire),
      cmocka_unit_test_setup(a_client_remembers_64_hosts, reset_wire),
      cmocka_unit_test_setup(a_session_from_another_server_is_replaced,
                             reset_wire),
      cmocka_unit_test_setup(a_peer_of_tls_1_1_is_refused, reset_wire),
      cmocka_unit_test_setup(a_peer_without_a_certificate_is_refused,
                             reset_wire),
      cmocka_unit_test_setup(a_plain_peer_is_recognized, reset_wire),
      cmocka_unit_test_setup(rubbish_is_an_error, reset_wire),
      cmocka_unit_test_setup(records_without_data_are_counted, reset_wire),
      cmocka_unit_test_setup(a_key_update_is_answered_by_the_next_write,
                             reset_wire),
      cmocka_unit_test_setup(keys_change_among_many_records, reset_wire),
      cmocka_unit_test_setup(nobody_can_renegotiate, reset_wire),
      cmocka_unit_test_setup(a_client_of_another_protocol_is_refused,
                             reset_wire),
      cmocka_unit_test_setup(a_context_lives_as_long_as_its_connections,
                             reset_wire),
      cmocka_unit_test_setup(a_context_serves_many_threads, reset_wire),
  };
  return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
