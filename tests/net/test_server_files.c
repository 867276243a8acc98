/* test_server_files.c - files of a folder over HTTP, on the port of the
 * WebSocket server, and above all those that are not to be had. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raw_peer.h"

/* The folder, beside a file that nobody may see. */
static void make_folder(net *n) {
  static const char *const folders[] = {"root", "root/sub", "root/empty",
                                        "root/.hidden-dir"};
  for (size_t i = 0; i < COUNT(folders); i++)
    assert_int_equal(mkdir(net_path(n, folders[i]), 0700), 0);
  net_write_file(n, "secret.txt", "secret", 6);
  net_write_file(n, "root/index.html", "<p>index</p>", 12);
  net_write_file(n, "root/a.txt", "text", 4);
  net_write_file(n, "root/a b.txt", "blank", 5);
  net_write_file(n, "root/sub/index.html", "<p>sub</p>", 10);
  net_write_file(n, "root/sub/style.css", "p{}", 3);
  net_write_file(n, "root/.hidden", "secret", 6);
  net_write_file(n, "root/.hidden-dir/a.txt", "secret", 6);
  char target[300];
  snprintf(target, sizeof(target), "%s", net_path(n, "secret.txt"));
  assert_int_equal(symlink(target, net_path(n, "root/link.txt")), 0);
  assert_int_equal(symlink("../secret.txt", net_path(n, "root/rel.txt")), 0);
  assert_int_equal(symlink("..", net_path(n, "root/up")), 0);
  assert_int_equal(symlink("a.txt", net_path(n, "root/inside.txt")), 0);
  assert_int_equal(mkfifo(net_path(n, "root/pipe"), 0600), 0);
}

static void serve_folder(net *n) {
  make_folder(n);
  char root[300];
  snprintf(root, sizeof(root), "%s", net_path(n, "root"));
  ws_server_options options;
  ws_server_options_init(&options);
  options.root = root;
  net_serve(n, &options);
}

static raw *request(net *n, const char *method, const char *target) {
  raw *peer = raw_connect(n, n->port);
  raw_print(peer, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", method, target);
  return peer;
}

static void files_are_served_with_length_and_type(void **state) {
  net *n = *state;
  static const struct {
    const char *target, *body, *type;
  } cases[] = {
      {"/", "<p>index</p>", "text/html"},
      {"/index.html", "<p>index</p>", "text/html"},
      {"/a.txt", "text", "text/plain"},
      {"/a.txt?query=%zz", "text", "text/plain"},
      {"/a%20b.txt", "blank", "text/plain"},
      {"/%61.txt", "text", "text/plain"},
      {"/sub/style.css", "p{}", "text/css"},
      {"/sub/", "<p>sub</p>", "text/html"},
      {"http://127.0.0.1/a.txt", "text", "text/plain"},
  };
  serve_folder(n);
  for (size_t i = 0; i < COUNT(cases); i++) {
    raw *peer = request(n, "GET", cases[i].target);
    const size_t len = strlen(cases[i].body);
    const char *head = assert_raw_refused(peer, 200);
    assert_memory_equal(raw_header(head, "Content-Type"), cases[i].type,
                        strlen(cases[i].type));
    char length[24];
    snprintf(length, sizeof(length), "%zu", len);
    assert_string_equal(raw_header(head, "Content-Length"), length);
    assert_memory_equal(raw_read(peer, len), cases[i].body, len);
    assert_raw_ended(peer);
  }
}

static void head_gets_the_head_alone(void **state) {
  net *n = *state;
  serve_folder(n);
  raw *peer = request(n, "HEAD", "/a.txt");
  const char *head = assert_raw_refused(peer, 200);
  assert_string_equal(raw_header(head, "Content-Length"), "4");
  assert_raw_ended(peer);
}

static void other_methods_are_refused(void **state) {
  net *n = *state;
  static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS"};
  serve_folder(n);
  for (size_t i = 0; i < COUNT(methods); i++) {
    raw *peer = request(n, methods[i], "/a.txt");
    assert_non_null(raw_header(assert_raw_refused(peer, 405), "Allow"));
  }
}

/* Nothing above the folder, nothing hidden, nothing that is no plain file. */
static void what_is_not_meant_to_be_seen_is_not_found(void **state) {
  net *n = *state;
  static const char *const targets[] = {
      "/none.txt",
      "/../secret.txt",
      "/sub/../../secret.txt",
      "/%2e%2e/secret.txt",
      "/%2E%2E%2fsecret.txt",
      "/..%2fsecret.txt",
      "/sub%2fstyle.css",
      "/..%5csecret.txt",
      "/..\\secret.txt",
      "/%252e%252e/secret.txt",
      "//secret.txt",
      "//etc/passwd",
      "/sub//style.css",
      "/./a.txt",
      "/a.txt/",
      "/a.txt%00",
      "/a.txt%00.html",
      "/.hidden",
      "/%2ehidden",
      "/.hidden-dir/a.txt",
      "/link.txt",
      "/rel.txt",
      "/up/secret.txt",
      "/pipe",
      "/empty",
      "/empty/",
      "/a%2",
      "/a%zz",
      "/\x01",
  };
  serve_folder(n);
  for (size_t i = 0; i < COUNT(targets); i++) {
    raw *peer = request(n, "GET", targets[i]);
    const char *head = raw_head(peer);
    if (strncmp(head, "HTTP/1.1 404 ", 13) != 0 &&
        strncmp(head, "HTTP/1.1 400 ", 13) != 0) {
      fail_msg("%s: %s", targets[i], head);
    }
  }
}

/* Targets in other forms than a path. */
static void targets_that_are_no_paths_are_refused(void **state) {
  net *n = *state;
  static const char *const targets[] = {"*", "a.txt", "127.0.0.1:80"};
  serve_folder(n);
  for (size_t i = 0; i < COUNT(targets); i++) {
    const char *head = raw_head(request(n, "GET", targets[i]));
    assert_true(strncmp(head, "HTTP/1.1 40", 11) == 0);
  }
}

/* More than the system takes at once, and more than any buffer of the loop. */
static void a_large_file_arrives_whole(void **state) {
  net *n = *state;
  enum {
    SIZE = 6000000
  };
  uint8_t *data = malloc(SIZE);
  assert_non_null(data);
  for (size_t i = 0; i < SIZE; i++)
    data[i] = (uint8_t)(i * 2654435761U >> 24);
  serve_folder(n);
  net_write_file(n, "root/large.bin", data, SIZE);
  raw *peer = request(n, "GET", "/large.bin");
  assert_string_equal(
      raw_header(assert_raw_refused(peer, 200), "Content-Length"), "6000000");
  assert_memory_equal(raw_read(peer, SIZE), data, SIZE);
  assert_raw_ended(peer);
  free(data);
}

/* Files and WebSockets share the port. */
static void a_handshake_on_the_same_port_opens(void **state) {
  net *n = *state;
  serve_folder(n);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
}

/* The application decides which folder, or answers itself. */
static void the_application_can_answer_with_a_file(void **state) {
  net *n = *state;
  make_folder(n);
  ws_server_options options;
  ws_server_options_init(&options);
  options.wants_requests = true;
  net_serve(n, &options);
  raw *peer = request(n, "GET", "/a.txt");
  NET_UNTIL(n, net_accepted(n, 0) != NULL);
  net_end *end = net_accepted(n, 0);
  assert_int_equal(ws_socket_respond_file(end->socket, net_path(n, "root")), 0);
  assert_raw_refused(peer, 200);
  assert_memory_equal(raw_read(peer, 4), "text", 4);
  peer = request(n, "GET", "/../secret.txt");
  NET_UNTIL(n, net_accepted(n, 1) != NULL);
  end = net_accepted(n, 1);
  assert_int_equal(ws_socket_respond_file(end->socket, net_path(n, "root")), 0);
  assert_raw_refused(peer, 404);
}

/* That is no reason to say that the file is not there. */
static void a_lack_of_descriptors_is_not_the_clients_fault(void **state) {
  net *n = *state;
  make_folder(n);
  ws_server_options options;
  ws_server_options_init(&options);
  options.wants_requests = true;
  net_serve(n, &options);
  raw *peer = request(n, "GET", "/a.txt");
  NET_UNTIL(n, net_accepted(n, 0) != NULL);
  char root[300];
  snprintf(root, sizeof(root), "%s", net_path(n, "root"));
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int err = ws_socket_respond_file(net_accepted(n, 0)->socket, root);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(err, 0);
  assert_raw_refused(peer, 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(files_are_served_with_length_and_type),
      CASE(head_gets_the_head_alone),
      CASE(other_methods_are_refused),
      CASE(what_is_not_meant_to_be_seen_is_not_found),
      CASE(targets_that_are_no_paths_are_refused),
      CASE(a_large_file_arrives_whole),
      CASE(a_handshake_on_the_same_port_opens),
      CASE(the_application_can_answer_with_a_file),
      CASE(a_lack_of_descriptors_is_not_the_clients_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
