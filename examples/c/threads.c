/* threads.c - a server whose work is done by threads.
 *
 *     threads [PORT]
 *
 * A message is a number; the answer is how many primes there are up to it, and
 * takes a while to find. Three kinds of thread work together:
 *
 *   - The server has two workers: threads of the library, each with a loop of
 *     its own, which share the connections. Handlers run in them, and must not
 *     take long.
 *   - Jobs are counted out by a thread of ours. It answers through a ws_sender,
 *     which any thread may use, and which may outlive its socket.
 *   - The main thread only prints; it is told what by ws_loop_post().
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ws/ws.h>

#define FAREWELL   1000 /* Milliseconds that clients have to close. */
#define MAX_NUMBER 10000000

static ws_loop *loop;

static void stop(int signal_number) {
  (void)signal_number;
  ws_loop_stop(loop);
}

/* -- Jobs -------------------------------------------------------------------- */

typedef struct job {
  struct job *next;
  ws_sender *sender; /* Who asked. Belongs to the job. */
  unsigned long number;
  unsigned long primes;
} job;

/* Jobs that wait, oldest first. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  job *first;
  job **end; /* Where the next one goes. */
  bool is_over;
} queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL,
           &queue.first, false};

static void put_job(job *j) {
  pthread_mutex_lock(&queue.lock);
  *queue.end = j;
  queue.end = &j->next;
  pthread_cond_signal(&queue.changed);
  pthread_mutex_unlock(&queue.lock);
}

/* Waits for a job; NULL when there will be none. */
static job *take_job(void) {
  pthread_mutex_lock(&queue.lock);
  while (queue.first == NULL && !queue.is_over)
    pthread_cond_wait(&queue.changed, &queue.lock);
  job *j = queue.first;
  if (j != NULL) {
    queue.first = j->next;
    if (queue.first == NULL) queue.end = &queue.first;
  }
  pthread_mutex_unlock(&queue.lock);
  return j;
}

static void end_jobs(void) {
  pthread_mutex_lock(&queue.lock);
  queue.is_over = true;
  pthread_cond_signal(&queue.changed);
  pthread_mutex_unlock(&queue.lock);
}

/* -- The thread that counts -------------------------------------------------- */

static bool is_prime(unsigned long n) {
  for (unsigned long d = 2; d <= n / d; d++)
    if (n % d == 0) return false;
  return n > 1;
}

/* Called by the loop of the main thread. */
static void report(void *arg) {
  job *j = arg;
  printf("%lu primes up to %lu\n", j->primes, j->number);
  fflush(stdout);
  free(j);
}

static void *work(void *unused) {
  (void)unused;
  for (job *j = take_job(); j != NULL; j = take_job()) {
    for (unsigned long n = 2; n <= j->number; n++)
      j->primes += is_prime(n);

    char answer[32];
    const int len = snprintf(answer, sizeof(answer), "%lu", j->primes);
    /* If the client has gone meanwhile this fails, and that is that. */
    ws_sender_send(j->sender, WS_TEXT, answer, (size_t)len, 0);
    ws_sender_free(j->sender);
    if (ws_loop_post(loop, report, j) != 0) free(j);
  }
  return NULL;
}

/* -- Handlers, called by the workers ----------------------------------------- */

static void refuse(ws_socket *socket, uint16_t code, const char *reason) {
  ws_socket_close_with(socket, code, reason, strlen(reason));
}

static void on_message(ws_socket *socket, const ws_event *event) {
  char text[16] = ""; /* The message has no NUL at its end. */
  if (event->u.message.len < sizeof(text))
    memcpy(text, event->u.message.data, event->u.message.len);
  char *end;
  const unsigned long number = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || number > MAX_NUMBER) {
    refuse(socket, WS_CLOSE_POLICY, "a number up to 10 million, please");
    return;
  }

  job *j = calloc(1, sizeof(*j));
  if (j == NULL || ws_sender_new(socket, &j->sender) != 0) {
    free(j);
    refuse(socket, WS_CLOSE_INTERNAL_ERROR, "out of memory");
    return;
  }
  j->number = number;
  put_job(j);
}

/* -- The program ------------------------------------------------------------- */

/* Makes a server that listens, or says why it cannot. */
static int serve(const ws_handlers *handlers, uint16_t port,
                 ws_server **out_server, ws_error *out_error) {
  ws_server_options options;
  ws_server_options_init(&options);
  options.handlers = handlers;
  options.workers = 2;
  const int result = ws_server_new(loop, &options, out_server, out_error);
  if (result != 0) return result;

  ws_listen_options where;
  ws_listen_options_init(&where);
  where.port = port;
  return ws_server_listen(*out_server, &where, out_error);
}

int main(int argc, char **argv) {
  const uint16_t port = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 8080;

  ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_message = on_message;

  ws_error error;
  ws_server *server;
  pthread_t thread;
  if (ws_loop_new(NULL, &loop, &error) != 0 ||
      serve(&handlers, port, &server, &error) != 0) {
    fprintf(stderr, "threads: %s\n", error.message);
    ws_loop_free(loop);
    return 1;
  }
  if (pthread_create(&thread, NULL, work, NULL) != 0) {
    fprintf(stderr, "threads: cannot start a thread\n");
    ws_loop_free(loop);
    return 1;
  }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  printf("listening on %s\n", ws_server_url(server, 0));
  fflush(stdout);
  ws_loop_run(loop);

  /* First no more jobs come, then the last ones are done, and their reports
   * have arrived before the loop goes. */
  ws_server_close(server, WS_CLOSE_GOING_AWAY, NULL, 0, FAREWELL);
  ws_loop_run(loop);
  end_jobs();
  pthread_join(thread, NULL);
  ws_loop_dispatch(loop, 0);
  ws_loop_free(loop);
  return 0;
}
