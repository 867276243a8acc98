/* test_loop_trace.c - LIBWS_TRACE and ws_loop_options.trace_fd: whole
 * connections, as their lines show them. */
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "ws/ws.h"
#ifdef WS_HAVE_OPENSSL
#include "net_tls.h"
#endif

#define TRACE_SIZE 16384

static char text[TRACE_SIZE];

/* NULL: no TLS. */
static ws_tls_context *client_tls, *server_tls;

/* -- A conversation -------------------------------------------------------- */

static void greet(ws_socket *socket, const ws_event *event) {
  (void)event;
  ws_socket_send_text(socket, "hello", 5);
}

static void echo(ws_socket *socket, const ws_event *event) {
  ws_socket_send(socket, event->u.message.type, event->u.message.data,
                 event->u.message.len, 0);
}

static void say_goodbye(ws_socket *socket, const ws_event *event) {
  (void)event;
  ws_socket_close(socket, 4000, "bye", 3);
}

static void end_server(ws_socket *socket, const ws_event *event) {
  (void)event;
  ws_server *server = ws_socket_user_data(socket);
  if (server != NULL) ws_server_close(server, 0, NULL, 0, 0);
}

static void open_client(ws_loop *loop, const char *url, ws_server *server) {
  static ws_handlers handlers;
  static const ws_header secret = {"Authorization", 13, "Bearer sesame", 13};
  ws_handlers_init(&handlers);
  handlers.on_open = greet;
  handlers.on_message = say_goodbye;
  handlers.on_close = end_server;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.headers = &secret;
  options.header_count = 1;
  options.handlers = &handlers;
  options.user_data = server;
  options.proxy = "";
  options.tls = client_tls;
  ws_socket *socket;
  assert_int_equal(
      ws_socket_open(loop, url, strlen(url), &options, &socket, NULL), 0);
}

/* A client says hello to a server that echoes, and goodbye. */
static void converse(ws_loop *loop, uint32_t workers) {
  static ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_message = echo;
  ws_server_options options;
  ws_server_options_init(&options);
  options.handlers = &handlers;
  options.workers = workers;
  ws_server *server;
  assert_int_equal(ws_server_new(loop, &options, &server, NULL), 0);
  assert_int_equal(
      ws_server_listen(server,
                       &(ws_listen_options){.size = sizeof(ws_listen_options),
                                            .fd = -1,
                                            .tls = server_tls},
                       NULL),
      0);
  char url[64];
  snprintf(url, sizeof(url), "%s/chat", ws_server_url(server, 0));
  open_client(loop, url, server);
  assert_int_equal(ws_loop_run(loop), 0);
}

static ws_loop *make_loop(int fd) {
  ws_loop_options options;
  ws_loop_options_init(&options);
  assert_int_equal(options.trace_fd, -1);
  options.trace_fd = fd;
  ws_loop *loop;
  assert_int_equal(ws_loop_new(&options, &loop, NULL), 0);
  return loop;
}

/* -- What was traced ------------------------------------------------------- */

static void read_text(int fd) {
  const ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
  assert_true(len >= 0);
  text[len] = '\0';
}

/* Fails unless a line of the trace is this behind its time and number. */
static void assert_traced(const char *line) {
  char pattern[256];
  snprintf(pattern, sizeof(pattern),
           "(^|\n)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
           "\\.[0-9]{3}Z #[0-9]+ %s\n",
           line);
  regex_t regex;
  assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
  if (regexec(&regex, text, 0, NULL, 0) != 0) {
    fail_msg("not in the trace: %s\n%s", line, text);
  }
  regfree(&regex);
}

static void assert_conversation_traced(void) {
  static const char *const lines[] = {
      "\\* connected to 127\\.0\\.0\\.1:[0-9]+",
      "\\* from 127\\.0\\.0\\.1:[0-9]+",
      "> GET /chat HTTP/1\\.1",
      "< GET /chat HTTP/1\\.1",
      "> Authorization: \\(hidden\\)",
      "< Authorization: \\(hidden\\)",
      "> HTTP/1\\.1 101 Switching Protocols",
      "< HTTP/1\\.1 101 Switching Protocols",
      "> text FIN 5 hello",
      "< text FIN 5 hello",
      "> close FIN 5 4000 bye",
      "< close FIN 5 4000 bye",
      "\\* closed 4000 clean bye",
  };
  for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
    assert_traced(lines[i]);
  assert_null(strstr(text, "sesame"));
}

static char path[64];

static int set_up(void **state) {
  (void)state;
  snprintf(path, sizeof(path), "/tmp/libws-trace-XXXXXX");
  const int fd = mkstemp(path);
  if (fd < 0) return -1;
  close(fd);
  unlink(path);
  unsetenv("LIBWS_TRACE");
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  return unsetenv("LIBWS_TRACE");
}

/* -- Tests ----------------------------------------------------------------- */

static void a_descriptor_gets_the_lines_of_both_ends(void **state) {
  (void)state;
  FILE *file = tmpfile();
  assert_non_null(file);
  ws_loop *loop = make_loop(fileno(file));
  converse(loop, 0);
  ws_loop_free(loop);
  read_text(fileno(file)); /* Still open: it was borrowed. */
  assert_conversation_traced();
  fclose(file);
}

#ifdef WS_HAVE_OPENSSL

/* What is said is traced as it was before it was hidden, and how it was. */
static void tls_is_traced(void **state) {
  (void)state;
  cert *self =
      cert_new(&(cert_spec){.common_name = "x", .alt_names = "IP:127.0.0.1"});
  client_tls = net_tls_client(self, NULL);
  server_tls = net_tls_server(self);
  FILE *file = tmpfile();
  assert_non_null(file);
  ws_loop *loop = make_loop(fileno(file));
  converse(loop, 0);
  ws_loop_free(loop);
  read_text(fileno(file));
  assert_conversation_traced();
  assert_traced("\\* TLSv1\\.3 TLS_[A-Z0-9_]+");
  fclose(file);
  ws_tls_context_free(client_tls);
  ws_tls_context_free(server_tls);
  client_tls = server_tls = NULL;
  cert_free(self);
}

#endif

static void workers_trace_to_the_same_place(void **state) {
  (void)state;
  FILE *file = tmpfile();
  assert_non_null(file);
  ws_loop *loop = make_loop(fileno(file));
  converse(loop, 2);
  ws_loop_free(loop);
  read_text(fileno(file));
  assert_conversation_traced();
  fclose(file);
}

/* The file is for its owner only, and appended to. */
static void the_environment_names_a_file(void **state) {
  (void)state;
  setenv("LIBWS_TRACE", path, 1);
  for (int i = 0; i < 2; i++) {
    ws_loop *loop = make_loop(-1);
    converse(loop, 0);
    ws_loop_free(loop);
  }
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  read_text(fileno(file));
  fclose(file);
  assert_conversation_traced();
  const char *first = strstr(text, "closed 4000");
  assert_non_null(first);
  assert_non_null(strstr(first, "> GET /chat"));
}

static void an_empty_name_and_0_are_none(void **state) {
  (void)state;
  FILE *file = tmpfile();
  assert_non_null(file);
  const int before = dup(STDERR_FILENO);
  assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
  static const char *const values[] = {"", "0", "1"};
  for (size_t i = 0; i < 3; i++) {
    read_text(STDERR_FILENO);
    assert_string_equal(text, "");
    setenv("LIBWS_TRACE", values[i], 1);
    ws_loop *loop = make_loop(-1);
    converse(loop, 0);
    ws_loop_free(loop);
  }
  read_text(STDERR_FILENO); /* "1" is the standard error. */
  assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
  close(before);
  fclose(file);
  assert_conversation_traced();
}

static void a_file_that_cannot_be_written_is_an_error(void **state) {
  (void)state;
  setenv("LIBWS_TRACE", "/nowhere/at/all", 1);
  ws_loop *loop;
  ws_error error;
  assert_int_equal(ws_loop_new(NULL, &loop, &error), WS_ERR_SYSTEM);
  assert_int_equal(error.system_error, ENOENT);
  assert_string_equal(
      error.message, "LIBWS_TRACE: /nowhere/at/all: No such file or directory");
}

/* Whoever reads the trace may go, which hurts nobody. */
static void a_trace_without_a_reader_is_lost(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  close(ends[0]);
  ws_loop *loop = make_loop(ends[1]);
  converse(loop, 0);
  ws_loop_free(loop);
  close(ends[1]);
  sigset_t pending;
  assert_int_equal(sigpending(&pending), 0);
  assert_int_equal(sigismember(&pending, SIGPIPE), 0);
}

static void a_connection_that_cannot_be_made_is_traced(void **state) {
  (void)state;
  FILE *file = tmpfile();
  assert_non_null(file);
  ws_loop *loop = make_loop(fileno(file));
  open_client(loop, "ws+unix:/nowhere/at/all:/", NULL);
  assert_int_equal(ws_loop_run(loop), 0);
  ws_loop_free(loop);
  read_text(fileno(file));
  fclose(file);
  assert_traced("\\* failed CONNECT: unix:/nowhere/at/all: "
                "No such file or directory");
  assert_traced("\\* closed 1006 unclean");
}

#define TRACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TRACE(a_descriptor_gets_the_lines_of_both_ends),
#ifdef WS_HAVE_OPENSSL
      TRACE(tls_is_traced),
#endif
      TRACE(workers_trace_to_the_same_place),
      TRACE(the_environment_names_a_file),
      TRACE(an_empty_name_and_0_are_none),
      TRACE(a_file_that_cannot_be_written_is_an_error),
      TRACE(a_trace_without_a_reader_is_lost),
      TRACE(a_connection_that_cannot_be_made_is_traced),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
