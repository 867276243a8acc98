/* test_tls_memory.c - OpenSSL over an allocator of this program's: what an idle
 * connection holds, and that no allocation that fails, ours or OpenSSL's, does
 * more than end a connection. */
#include "test.h"
#include "test_alloc.h"

#include "tls_pair.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define HOST "a.test"

static cert *root;
static cert *leaf;

/* -- OpenSSL's memory ------------------------------------------------------ */

static size_t held;
static size_t calls;
static size_t fail_at = SIZE_MAX;

/* In front of each block; keeps malloc's alignment. */
typedef union block_head {
  size_t size;
  max_align_t align;
} block_head;

static void *resize(void *ptr, size_t size) {
  if (calls++ == fail_at) return NULL;
  block_head *old = ptr != NULL ? (block_head *)ptr - 1 : NULL;
  const size_t old_size = old != NULL ? old->size : 0;
  block_head *head = realloc(old, sizeof(*head) + size);
  if (head == NULL) return NULL;
  head->size = size;
  held += size - old_size;
  return head + 1;
}

static void release(void *ptr, const char *file, int line) {
  (void)file, (void)line;
  if (ptr == NULL) return;
  block_head *head = (block_head *)ptr - 1;
  held -= head->size;
  free(head);
}

static void *allocate(size_t size, const char *file, int line) {
  (void)file, (void)line;
  return resize(NULL, size);
}

static void *reallocate(void *ptr, size_t size, const char *file, int line) {
  if (size == 0) {
    release(ptr, file, line);
    return NULL;
  }
  return resize(ptr, size);
}

/* -- Both ends ------------------------------------------------------------- */

static int make_certificates(void **state) {
  (void)state;
  root = cert_new(&(cert_spec){.common_name = "Root", .is_ca = true});
  leaf = cert_new(&(cert_spec){
      .common_name = "leaf", .alt_names = "DNS:" HOST, .issuer = root});
  return 0;
}

static int free_certificates(void **state) {
  (void)state;
  cert_free(root);
  cert_free(leaf);
  return 0;
}

static void set_up(tls_pair *pair, const ws_allocator *allocator,
                   ws_tls_version version) {
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {.ca.text = root->certificate,
                                        .policy.max_version = version};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair_init(pair, allocator, &client, &server);
}

/* -- Idle ------------------------------------------------------------------ */

/* design.md: a connection with TLS holds at most 16 KiB when idle. Many at
 * once, so that what a context keeps does not count. */
static void an_idle_connection_holds_at_most_16_kib(void **state) {
  (void)state;
  enum {
    PAIRS = 20,
    MOST = 16 * 1024
  };
  static const char *const names[] = {"", "TLS 1.2", "TLS 1.3"};
  for (ws_tls_version v = WS_TLS_VERSION_1_2; v <= WS_TLS_VERSION_1_3; v++) {
    test_alloc a;
    test_alloc_init(&a);
    tls_pair context;
    set_up(&context, &a.allocator, v);
    tls_pair_open(&context, HOST);

    tls_pair pairs[PAIRS];
    const size_t before = held + a.held;
    for (int i = 0; i < PAIRS; i++) {
      pairs[i] = context;
      pairs[i].client = pairs[i].server = NULL;
      pairs[i].client_fd = pairs[i].server_fd = -1;
      tls_pair_open(&pairs[i], HOST);
      assert_carried(pairs[i].client, pairs[i].server, "question");
      assert_carried(pairs[i].server, pairs[i].client, "answer");
    }
    const size_t both = held + a.held;
    for (int i = 0; i < PAIRS; i++)
      tls_pair_end_client(&pairs[i]);
    const size_t servers = held + a.held - before;
    const size_t clients = both - before - servers;
    for (int i = 0; i < PAIRS; i++)
      tls_pair_end_server(&pairs[i]);
    tls_pair_free(&context);
    assert_int_equal(a.held, 0);

    print_message("%s, idle: server %zu bytes, client %zu bytes\n", names[v],
                  servers / PAIRS, clients / PAIRS);
    assert_true(servers / PAIRS <= MOST);
    assert_true(clients / PAIRS <= MOST);
  }
}

/* -- Failing --------------------------------------------------------------- */

/* Made by hand, for what tls_pair asserts may fail here. */
typedef struct ends {
  int fds[2];
  ws__tls *tls[2];
} ends;

static int make_contexts(const ws_allocator *allocator, tls_pair *pair) {
  const ws_tls_identity identity = tls_identity(leaf);
  const ws_tls_client_options client = {.ca.text = root->certificate,
                                        .identity = identity};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1,
                                        .client_auth =
                                            WS_TLS_CLIENT_AUTH_OPTIONAL,
                                        .client_ca.text = root->certificate};
  *pair = (tls_pair){.client_fd = -1, .server_fd = -1};
  int err =
      ws__tls_client_context(allocator, &client, &pair->client_context, NULL);
  if (err == 0) {
    err =
        ws__tls_server_context(allocator, &server, &pair->server_context, NULL);
  }
  return err;
}

/* Turns until neither side gets on; then a message and an end each way. */
static void converse(ends *e) {
  enum {
    TURNS = 10
  };
  static char text[3 * WS__TLS_RECORD_MAX];
  static char buf[2 * sizeof(text)];
  const struct iovec piece = {text, sizeof(text)};
  for (int turn = 0; turn < TURNS; turn++) {
    for (int side = 0; side < 2; side++)
      ws__tls_handshake(e->tls[side]);
  }
  for (int side = 0; side < 2; side++) {
    if (ws__tls_handshake(e->tls[side]) != WS__TLS_OK) continue;
    size_t n;
    ws_tls_info info;
    ws__tls_write(e->tls[side], &piece, 1, &n);
    ws__tls_get_info(e->tls[side], &info);
    ws__tls_shutdown(e->tls[side]);
    ws__tls_read(e->tls[side], buf, sizeof(buf), &n);
  }
}

/* Every failure is told by a code that can be. */
static void assert_sound(const ws__tls *tls) {
  const int error = ws__tls_error(tls);
  assert_true(error == 0 || error == WS_ERR_NO_MEMORY || error == WS_ERR_TLS ||
              error == WS_ERR_CERTIFICATE || error == WS_ERR_TRANSPORT);
  assert_int_equal(error != 0, ws__tls_detail(tls)[0] != '\0');
}

static void connect_and_converse(const ws_allocator *allocator,
                                 const tls_pair *contexts, const char *host) {
  ends e = {.tls = {NULL, NULL}};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, e.fds), 0);
  for (int side = 0; side < 2; side++)
    fcntl(e.fds[side], F_SETFL, O_NONBLOCK);
  int err = ws__tls_connect(contexts->client_context, allocator, e.fds[0], host,
                            443, &e.tls[0], NULL);
  if (err == 0) {
    err = ws__tls_accept(contexts->server_context, allocator, e.fds[1],
                         &e.tls[1], NULL);
  }
  if (err == 0) {
    converse(&e);
    assert_sound(e.tls[0]);
    assert_sound(e.tls[1]);
    /* Nothing that fails may let a wrong peer in. */
    if (strcmp(host, HOST) != 0) assert_false(e.tls[0]->is_open);
  } else {
    assert_int_equal(err, WS_ERR_NO_MEMORY);
  }
  for (int side = 0; side < 2; side++) {
    ws__tls_free(e.tls[side]);
    close(e.fds[side]);
  }
}

static void each_allocation_of_ours_may_fail(void **state) {
  (void)state;
  for (size_t n = 0;; n++) {
    test_alloc a;
    test_alloc_init(&a);
    a.fail_at = n;
    tls_pair pair;
    const int err = make_contexts(&a.allocator, &pair);
    assert_true(err == 0 || err == WS_ERR_NO_MEMORY);
    if (err == 0) connect_and_converse(&a.allocator, &pair, HOST);
    tls_pair_free(&pair);
    assert_int_equal(a.held, 0);
    if (a.calls <= n) break;
  }
}

/* There are some 20,000, most of them the same for each name of an algorithm:
 * one of 61 is tried. */
static void allocations_of_openssl_in_a_context_may_fail(void **state) {
  (void)state;
  const size_t step = 61;
  for (size_t n = 0;; n += step) {
    test_alloc a;
    test_alloc_init(&a);
    calls = 0;
    fail_at = n;
    tls_pair pair;
    const int err = make_contexts(&a.allocator, &pair);
    fail_at = SIZE_MAX;
    const bool were_all_tried = calls <= n;
    if (were_all_tried) {
      assert_int_equal(err, 0);
      connect_and_converse(&a.allocator, &pair, HOST);
    }
    tls_pair_free(&pair);
    assert_int_equal(a.held, 0);
    if (were_all_tried) {
      print_message("%zu allocations of OpenSSL for two contexts\n", calls);
      break;
    }
  }
}

static void fail_each_in_a_connection_to(const char *host) {
  test_alloc a;
  test_alloc_init(&a);
  tls_pair pair;
  assert_int_equal(make_contexts(&a.allocator, &pair), 0);
  for (size_t n = 0;; n++) {
    calls = 0;
    fail_at = n;
    connect_and_converse(&a.allocator, &pair, host);
    fail_at = SIZE_MAX;
    if (calls <= n) break;
  }
  print_message("%zu allocations of OpenSSL for two connections\n", calls);
  tls_pair_free(&pair);
  assert_int_equal(a.held, 0);
}

static void each_allocation_of_openssl_in_a_connection_may_fail(void **state) {
  (void)state;
  fail_each_in_a_connection_to(HOST);
}

static void no_failing_allocation_lets_a_wrong_peer_in(void **state) {
  (void)state;
  fail_each_in_a_connection_to("b.test");
}

int main(void) {
  if (!CRYPTO_set_mem_functions(allocate, reallocate, release)) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_idle_connection_holds_at_most_16_kib),
      cmocka_unit_test(each_allocation_of_ours_may_fail),
      cmocka_unit_test(allocations_of_openssl_in_a_context_may_fail),
      cmocka_unit_test(each_allocation_of_openssl_in_a_connection_may_fail),
      cmocka_unit_test(no_failing_allocation_lets_a_wrong_peer_in),
  };
  return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
