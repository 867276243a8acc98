#include "host.h"

int core_host_running(core_state *state, PyObject **out_host) {
  *out_host = NULL;
  if (state->get_running_loop == NULL) {
    /* Whoever runs asyncio has imported it. */
    PyObject *name = PyUnicode_FromString("asyncio.events");
    PyObject *module = name != NULL ? PyImport_GetModule(name) : NULL;
    Py_XDECREF(name);
    if (module == NULL) return PyErr_Occurred() ? -1 : 0;
    state->get_running_loop =
        PyObject_GetAttr(module, state->_get_running_loop_name);
    Py_DECREF(module);
    if (state->get_running_loop == NULL) return -1;
  }
  PyObject *host = PyObject_CallNoArgs(state->get_running_loop);
  if (host == NULL) return -1;
  if (host == Py_None) {
    Py_DECREF(host);
  } else {
    *out_host = host;
  }
  return 0;
}

PyObject *core_host_module(core_state *state) {
  if (state->host_module == NULL) {
    state->host_module = PyImport_ImportModule("libws._host");
  }
  return state->host_module;
}

/* -- Exceptions ------------------------------------------------------------ */

PyObject *core_take_exception(void) {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject *type;
  PyObject *value;
  PyObject *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != NULL) (void)PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return value;
#endif
}

static int report_to_host(core_state *state, PyObject *host, PyObject *error,
                          PyObject *source) {
  PyObject *context =
      Py_BuildValue("{ss sO sO}", "message", "Exception in a handler of libws",
                    "exception", error, "source", source);
  if (context == NULL) return -1;
  PyObject *result = PyObject_CallMethodOneArg(
      host, state->call_exception_handler_name, context);
  Py_DECREF(context);
  if (result == NULL) return -1;
  Py_DECREF(result);
  return 0;
}

int core_host_report(core_state *state, PyObject *host, PyObject *source) {
  if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
  if (host == NULL) {
    PyErr_WriteUnraisable(source);
    return 0;
  }
  PyObject *error = core_take_exception();
  const int result = report_to_host(state, host, error, source);
  Py_DECREF(error);
  if (result == 0) return 0;
  if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
  PyErr_WriteUnraisable(source);
  return 0;
}

/* -- Calls ----------------------------------------------------------------- */

PyObject *core_host_start(core_state *state, PyObject *host,
                          PyObject *coroutine) {
  PyObject *module = core_host_module(state);
  PyObject *task = NULL;
  if (module != NULL) {
    task = PyObject_CallMethodObjArgs(module, state->start_task_name,
                                      host != NULL ? host : Py_None, coroutine,
                                      NULL);
  }
  Py_DECREF(coroutine);
  return task;
}

int core_host_call(core_state *state, PyObject *host, PyObject *handler,
                   PyObject *argument) {
  PyObject *result = PyObject_CallOneArg(handler, argument);
  if (result != NULL && PyCoro_CheckExact(result)) {
    result = core_host_start(state, host, result);
  }
  if (result == NULL) return core_host_report(state, host, handler);
  Py_DECREF(result);
  return 0;
}
