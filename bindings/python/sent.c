#include "sent.h"
#include "host.h"

/* What waits is a tuple: the socket, the callback or None, and how many bytes
 * are written when it is over. */
enum {
  ENTRY_SOCKET,
  ENTRY_CALLBACK,
  ENTRY_BYTES
};

/* Bytes that a connection has written, and those with what waits to be: the
 * latter only grow, and a message is out when the former are as many as the
 * latter were after it. */
static void count(const core_socket *socket, uint64_t *out_written,
                  uint64_t *out_all) {
  ws_conn_stats stats;
  core_socket_hold(socket);
  ws_socket_get_stats(socket->handle, &stats);
  core_socket_let_go(socket);
  *out_written = stats.bytes_sent;
  *out_all = stats.bytes_sent + stats.bytes_queued;
}

bool core_sent_is_due(const core_socket *socket) {
  uint64_t written;
  uint64_t all;
  count(socket, &written, &all);
  return written < all;
}

static core_socket *socket_of(PyObject *entry) {
  return (core_socket *)PyTuple_GET_ITEM(entry, ENTRY_SOCKET);
}

/* Calls back, if there is a callback. */
static int call(PyObject *entry, PyObject *argument) {
  const core_socket *socket = socket_of(entry);
  PyObject *callback = PyTuple_GET_ITEM(entry, ENTRY_CALLBACK);
  if (callback == Py_None) return 0;
  return core_host_call(core_socket_state(socket), socket->loop->host, callback,
                        argument);
}

/* Calls back with what has ended the socket. */
static int call_failed(PyObject *entry) {
  core_socket *socket = socket_of(entry);
  PyObject *error = core_socket_closed_error(socket);
  if (error == NULL) {
    return core_host_report(core_socket_state(socket), socket->loop->host,
                            (PyObject *)socket);
  }
  const int result = call(entry, error);
  Py_DECREF(error);
  return result;
}

static PyObject *fail(PyObject *entry, PyObject *unused) {
  (void)unused;
  if (call_failed(entry) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef fail_def = {"fail", fail, METH_NOARGS, NULL};

/* Nothing is sent any more, which the callback hears soon. */
static int fail_soon(core_loop *loop, PyObject *entry) {
  PyObject *posted = PyCFunction_New(&fail_def, entry);
  if (posted == NULL) return -1;
  const int result = core_loop_post(loop, posted);
  Py_DECREF(posted);
  return result;
}

/* A thread says when there is something to look at; it may have written all
 * before it heard of that. */
static void listen_to_thread(core_loop *loop) {
  core_thread_tell_turns(loop->thread, true);
  core_loop_wake(loop);
}

int core_sent_add(core_socket *socket, PyObject *callback) {
  core_loop *loop = socket->loop;
  uint64_t written;
  uint64_t all;
  count(socket, &written, &all);
  PyObject *entry =
      Py_BuildValue("(OOK)", socket, callback, (unsigned long long)all);
  if (entry == NULL) return -1;
  int result = -1;
  if (socket->has_ended) {
    result = fail_soon(loop, entry);
  } else {
    if (loop->sent == NULL) loop->sent = PyList_New(0);
    if (loop->sent != NULL) result = PyList_Append(loop->sent, entry);
    if (result == 0 && loop->thread != NULL) listen_to_thread(loop);
  }
  Py_DECREF(entry);
  return result;
}

/* Returns 1 when the entry is over, 0 when it has to wait, or -1. */
static int try_entry(PyObject *entry) {
  const core_socket *socket = socket_of(entry);
  if (socket->has_ended) return call_failed(entry) < 0 ? -1 : 1;
  uint64_t written;
  uint64_t all;
  count(socket, &written, &all);
  const uint64_t wanted =
      PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(entry, ENTRY_BYTES));
  if (written < wanted) return 0;
  return call(entry, Py_None) < 0 ? -1 : 1;
}

int core_sent_run(core_loop *loop) {
  if (loop->sent == NULL) return 0;
  PyObject *entries = Py_NewRef(loop->sent);
  int result = 0;
  /* A callback may send, and so add to the end, or end the loop. */
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(entries) && result >= 0;) {
    PyObject *entry = Py_NewRef(PyList_GET_ITEM(entries, i));
    result = try_entry(entry);
    if (result == 0) {
      i++;
    } else if (PyList_SetSlice(entries, i, i + 1, NULL) < 0) {
      result = -1;
    }
    Py_DECREF(entry);
  }
  if (loop->sent == entries && PyList_GET_SIZE(entries) == 0) {
    Py_CLEAR(loop->sent);
    if (loop->thread != NULL) core_thread_tell_turns(loop->thread, false);
  }
  Py_DECREF(entries);
  return result < 0 ? -1 : 0;
}
