/* server_events.c - what a server's hooks are asked, and what their answers
 * become. */
#include "errors.h"
#include "host.h"
#include "request.h"
#include "server.h"
#include "socket.h"

/* -- Requests -------------------------------------------------------------- */

/* The first subprotocol of the client's that is spoken here. */
static PyObject *choose_protocol(const core_server *self,
                                 const core_request *request) {
  const Py_ssize_t count = PyList_GET_SIZE(request->protocols);
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *offered = PyList_GET_ITEM(request->protocols, i);
    if (!self->has_protocols) return offered;
    for (size_t j = 0; j < self->protocols.count; j++) {
      if (PyUnicode_CompareWithASCIIString(offered, self->protocols.items[j]) ==
          0) {
        return offered;
      }
    }
  }
  return NULL;
}

/* Accepts with a subprotocol: NULL for the one that is spoken, "" for none. */
static int accept_with(const core_server *self, core_request *request,
                       PyObject *protocol) {
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  if (protocol == NULL) protocol = choose_protocol(self, request);
  if (protocol != NULL && PyUnicode_GET_LENGTH(protocol) > 0) {
    answer.protocol = core_c_string(protocol, "protocol");
    if (answer.protocol == NULL) return -1;
  }
  return core_request_accept(request, &answer);
}

/* Plain HTTP that nobody answers: a file, or RFC 9110's 426 Upgrade Required.
 */
static int answer_plainly(const core_server *self, core_request *request) {
  if (self->folder == NULL) return core_request_refuse(request, 426);
  return core_request_respond_file(request, self->folder);
}

/* Answers with what a hook has returned. */
static int answer_with(const core_server *self, core_request *request,
                       PyObject *result) {
  core_state *state = core_server_state(self);
  if (Py_IS_TYPE(result, state->response_type)) {
    return core_request_respond(request, result);
  }
  if (!request->is_upgrade && result == Py_None) {
    return answer_plainly(self, request);
  }
  if (request->is_upgrade) {
    if (result == Py_None || result == Py_True) {
      return accept_with(self, request, NULL);
    }
    if (result == Py_False) return core_request_refuse(request, 403);
    if (PyUnicode_Check(result)) return accept_with(self, request, result);
  }
  PyErr_Format(PyExc_TypeError, "a hook cannot answer with %.100s",
               Py_TYPE(result)->tp_name);
  return -1;
}

/* Reports an exception, and answers that there was one. */
static int answer_failure(core_server *self, core_request *request,
                          PyObject *hook) {
  const int result =
      core_host_report(core_server_state(self), self->loop->host, hook);
  if (result == 0 && request->handle != NULL &&
      core_request_refuse(request, 500) < 0) {
    PyErr_Clear();
  }
  return result;
}

/* Sees to it that a request is answered, when its hook has returned. */
static int settle(core_server *self, core_request *request, PyObject *hook,
                  PyObject *result) {
  const bool is_done =
      request->handle == NULL || (request->is_held && result == Py_None);
  if (is_done || answer_with(self, request, result) == 0) return 0;
  return answer_failure(self, request, hook);
}

/* Called by a task: the coroutine of a hook has ended. */
static PyObject *settle_task(PyObject *op, PyObject *task) {
  core_request *request = (core_request *)op;
  core_server *self = (core_server *)request->server;
  if (request->handle == NULL || self == NULL) Py_RETURN_NONE;
  PyObject *result =
      PyObject_CallMethodNoArgs(task, core_server_state(self)->result_name);
  if (result == NULL) {
    /* libws._host has reported it, or it was cancelled. */
    PyErr_Clear();
    if (core_request_refuse(request, 500) < 0) PyErr_Clear();
    Py_RETURN_NONE;
  }
  const int status = settle(self, request, op, result);
  Py_DECREF(result);
  if (status < 0) return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef settle_task_def = {"settle", settle_task, METH_O, NULL};

/* Has the task answer at its end. Takes the coroutine. */
static int start_hook(core_server *self, core_request *request,
                      PyObject *coroutine) {
  core_state *state = core_server_state(self);
  PyObject *task = core_host_start(state, self->loop->host, coroutine);
  if (task == NULL) return -1;
  PyObject *callback = PyCFunction_New(&settle_task_def, (PyObject *)request);
  PyObject *result = NULL;
  if (callback != NULL) {
    result = PyObject_CallMethodOneArg(task, state->add_done_callback_name,
                                       callback);
  }
  Py_XDECREF(callback);
  Py_XDECREF(result);
  Py_DECREF(task);
  return result != NULL ? 0 : -1;
}

static int call_hook(core_server *self, core_request *request, PyObject *hook) {
  PyObject *result = PyObject_CallOneArg(hook, (PyObject *)request);
  if (result == NULL) return answer_failure(self, request, hook);
  if (PyCoro_CheckExact(result)) {
    if (start_hook(self, request, result) == 0) return 0;
    return answer_failure(self, request, hook);
  }
  const int status = settle(self, request, hook, result);
  Py_DECREF(result);
  return status;
}

static int answer(core_server *self, core_request *request) {
  PyObject *hook = request->is_upgrade ? self->on_upgrade : self->on_request;
  if (hook == NULL) {
    return settle(self, request, (PyObject *)self, Py_None) < 0 ? -1 : 0;
  }
  Py_INCREF(hook);
  const int result = call_hook(self, request, hook);
  Py_DECREF(hook);
  return result < 0 ? -1 : 1;
}

int core_server_deliver_request(core_loop *loop, const ws_event *event) {
  core_server *self = ws_server_user_data(event->server);
  core_request *request = (core_request *)core_request_new(
      loop->state, event->u.request, loop, (PyObject *)self, event->socket);
  if (request == NULL) {
    ws_socket_terminate(event->socket);
    return core_host_report(loop->state, loop->host, (PyObject *)self);
  }
  core_loop_keep(loop, &request->root);
  ws_socket_set_user_data(event->socket, request);
  Py_INCREF(self);
  const int result = answer(self, request);
  Py_DECREF(self);
  Py_DECREF(request);
  return result;
}

/* -- Connections ----------------------------------------------------------- */

/* Calls onconnection(socket, request). */
static int call_on_connection(core_server *self, core_socket *socket) {
  core_state *state = core_server_state(self);
  PyObject *hook = Py_NewRef(self->on_connection);
  PyObject *args[] = {(PyObject *)socket, socket->request};
  PyObject *result = PyObject_Vectorcall(hook, args, 2, NULL);
  if (result != NULL && PyCoro_CheckExact(result)) {
    result = core_host_start(state, self->loop->host, result);
  }
  int status = 0;
  if (result == NULL) status = core_host_report(state, self->loop->host, hook);
  Py_XDECREF(result);
  Py_DECREF(hook);
  return status;
}

/* A server's socket comes into being with its open event, which its listeners
 * get after onconnection has had the chance to add them. */
int core_server_deliver_open(core_loop *loop, const ws_event *event) {
  core_server *self = ws_server_user_data(event->server);
  core_request *request = ws_socket_user_data(event->socket);
  core_socket *socket = core_socket_accept(loop, self->socket_class,
                                           event->socket, (PyObject *)request,
                                           self->is_tracking, self->high_water);
  if (socket == NULL) {
    ws_socket_set_user_data(event->socket, NULL);
    ws_socket_terminate(event->socket);
    core_request_drop(request);
    return core_host_report(loop->state, loop->host, (PyObject *)self);
  }
  core_request_drop(request);
  Py_INCREF(self);
  int result = 0;
  if (self->on_connection != NULL) result = call_on_connection(self, socket);
  if (result == 0) result = core_socket_deliver(loop, event);
  Py_DECREF(self);
  Py_DECREF(socket);
  return result < 0 ? -1 : 1;
}

/* -- Events of the server -------------------------------------------------- */

int core_server_tell_error(core_server *self, PyObject *error) {
  core_state *state = core_server_state(self);
  PyObject *host = self->loop->host;
  if (self->on_error == NULL) {
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    return core_host_report(state, host, (PyObject *)self);
  }
  PyObject *event =
      core_error_event_new(state, error, core_loop_now(self->loop));
  if (event == NULL) return core_host_report(state, host, (PyObject *)self);
  PyObject *hook = Py_NewRef(self->on_error);
  const int result = core_host_call(state, host, hook, event);
  Py_DECREF(hook);
  Py_DECREF(event);
  return result;
}

static int deliver_error(core_server *self, const ws_event *event) {
  PyObject *error =
      core_error_of_cause(core_server_state(self), &event->u.error, NULL);
  if (error == NULL) {
    return core_host_report(core_server_state(self), self->loop->host,
                            (PyObject *)self);
  }
  const int result = core_server_tell_error(self, error);
  Py_DECREF(error);
  return result;
}

static int deliver_close(core_server *self) {
  self->handle = NULL;
  core_loop_let_go(&self->root);
  if (self->on_close == NULL) return 0;
  PyObject *hook = Py_NewRef(self->on_close);
  PyObject *result = PyObject_CallNoArgs(hook);
  int status = 0;
  if (result == NULL) {
    status = core_host_report(core_server_state(self), self->loop->host, hook);
  }
  Py_XDECREF(result);
  Py_DECREF(hook);
  return status;
}

int core_server_deliver(core_loop *loop, const ws_event *event) {
  (void)loop;
  core_server *self = ws_server_user_data(event->server);
  Py_INCREF(self);
  const int result = event->type == WS_EVENT_SERVER_CLOSE
                         ? deliver_close(self)
                         : deliver_error(self, event);
  Py_DECREF(self);
  return result < 0 ? -1 : 1;
}
