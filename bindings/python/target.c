#include "target.h"
#include "convert.h"
#include "host.h"

#include <stddef.h>

/* One entry of a target's list. */
typedef struct listener {
  PyObject_HEAD
  PyObject *type;     /* str */
  PyObject *callback; /* Of a handler: what the attribute was set to last. */
  core_kind kind;
  bool is_handler; /* Belongs to an attribute. */
  bool is_once;
  bool is_capture;
  bool is_removed; /* While an event is dispatched, which has a copy. */
} listener;

/* -- Listeners ------------------------------------------------------------- */

static int listener_traverse(PyObject *op, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(((listener *)op)->callback);
  return 0;
}

static int listener_clear(PyObject *op) {
  Py_CLEAR(((listener *)op)->callback);
  return 0;
}

static void listener_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  (void)listener_clear(op);
  Py_XDECREF(((listener *)op)->type);
  core_free(op);
}

static PyType_Slot listener_slots[] = {
    {Py_tp_doc, "An entry in the list of an EventTarget."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, listener_dealloc},
    {Py_tp_traverse, listener_traverse},
    {Py_tp_clear, listener_clear},
    {0, NULL}};

static PyType_Spec listener_spec = {.name = "libws._core._Listener",
                                    .basicsize = sizeof(listener),
                                    .flags =
                                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                    .slots = listener_slots};

/* -- The list -------------------------------------------------------------- */

static core_kind kind_of(core_state *state, PyObject *type) {
  const struct {
    PyObject *name;
    core_kind kind;
  } kinds[] = {
      {state->message_name, CORE_MESSAGE},
      {state->open_name, CORE_OPEN},
      {state->close_name, CORE_CLOSE},
      {state->error_name, CORE_ERROR},
      {state->ping_name, CORE_PING},
      {state->pong_name, CORE_PONG},
      {state->drain_name, CORE_DRAIN},
      {state->reconnect_name, CORE_RECONNECT},
      {state->upgrade_name, CORE_UPGRADE},
      {state->unexpected_name, CORE_UNEXPECTED},
  };
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (PyUnicode_Compare(type, kinds[i].name) == 0) return kinds[i].kind;
  }
  return CORE_CUSTOM;
}

static PyObject *name_of_kind(core_state *state, core_kind kind) {
  switch (kind) {
  case CORE_OPEN: return state->open_name;
  case CORE_MESSAGE: return state->message_name;
  case CORE_ERROR: return state->error_name;
  case CORE_CLOSE: return state->close_name;
  case CORE_PING: return state->ping_name;
  case CORE_PONG: return state->pong_name;
  case CORE_DRAIN: return state->drain_name;
  case CORE_RECONNECT: return state->reconnect_name;
  case CORE_UPGRADE: return state->upgrade_name;
  case CORE_UNEXPECTED: return state->unexpected_name;
  case CORE_CUSTOM: break;
  }
  return state->empty_text;
}

static Py_ssize_t listener_count(const core_target *target) {
  return target->listeners != NULL ? PyList_GET_SIZE(target->listeners) : 0;
}

static listener *listener_at(const core_target *target, Py_ssize_t index) {
  return (listener *)PyList_GET_ITEM(target->listeners, index);
}

/* Brings up to date what is known of the list. */
static void update_heard(core_target *target) {
  const unsigned before = target->heard;
  target->heard = 0;
  target->on_message = NULL;
  for (Py_ssize_t i = 0; i < listener_count(target); i++) {
    const listener *entry = listener_at(target, i);
    if (entry->kind == CORE_MESSAGE) {
      const bool is_first = (target->heard & CORE_MESSAGE) == 0;
      const bool is_plain =
          is_first && !entry->is_once && PyCallable_Check(entry->callback);
      target->on_message = is_plain ? entry->callback : NULL;
    }
    target->heard |= entry->kind;
  }
  if (target->on_heard != NULL && target->heard != before) {
    target->on_heard(target);
  }
}

/* Adds to the list. Most have one entry, for which it is made as it is:
 * appending makes room for more. */
static int enlist(core_target *target, listener *entry) {
  if (target->listeners != NULL) {
    return PyList_Append(target->listeners, (PyObject *)entry);
  }
  target->listeners = PyList_New(1);
  if (target->listeners == NULL) return -1;
  PyList_SET_ITEM(target->listeners, 0, Py_NewRef((PyObject *)entry));
  return 0;
}

/* Adds a listener at the end. What `flags` has is taken over. */
static listener *append(core_state *state, core_target *target,
                        const listener *flags, PyObject *type,
                        PyObject *callback) {
  listener *entry = PyObject_GC_New(listener, state->listener_type);
  if (entry == NULL) return NULL;
  entry->type = Py_NewRef(type);
  entry->callback = Py_NewRef(callback);
  entry->kind = flags->kind;
  entry->is_handler = flags->is_handler;
  entry->is_once = flags->is_once;
  entry->is_capture = flags->is_capture;
  entry->is_removed = false;
  PyObject_GC_Track(entry);
  const int result = enlist(target, entry);
  Py_DECREF(entry); /* The list has it now. */
  if (result < 0) return NULL;
  update_heard(target);
  return entry;
}

/* Takes a listener out of the list, if it is still there. */
static int take_out(core_target *target, listener *entry) {
  entry->is_removed = true;
  for (Py_ssize_t i = 0; i < listener_count(target); i++) {
    if (listener_at(target, i) != entry) continue;
    if (PyList_SetSlice(target->listeners, i, i + 1, NULL) < 0) return -1;
    update_heard(target);
    return 0;
  }
  return 0;
}

/* Methods are made anew each time they are asked for, so those are compared;
 * all other callbacks have to be the same object, as in JavaScript. */
static int is_same_callback(PyObject *a, PyObject *b) {
  if (a == b) return 1;
  const bool are_methods = PyMethod_Check(a) && PyMethod_Check(b);
  const bool are_builtin = PyCFunction_Check(a) && PyCFunction_Check(b);
  return are_methods || are_builtin ? PyObject_RichCompareBool(a, b, Py_EQ) : 0;
}

/* Finds what addEventListener() added, borrowed, or NULL in `*out`. */
static int find(const core_target *target, PyObject *type, PyObject *callback,
                bool is_capture, listener **out) {
  *out = NULL;
  for (Py_ssize_t i = 0; i < listener_count(target); i++) {
    listener *entry = listener_at(target, i);
    if (entry->is_handler || entry->is_capture != is_capture ||
        PyUnicode_Compare(entry->type, type) != 0) {
      continue;
    }
    const int is_same = is_same_callback(entry->callback, callback);
    if (is_same < 0) return -1;
    if (is_same) {
      *out = entry;
      return 0;
    }
  }
  return 0;
}

/* -- Options --------------------------------------------------------------- */

typedef struct listener_options {
  bool is_once;
  bool is_capture;
  PyObject *signal; /* Borrowed, or NULL. */
} listener_options;

static int set_flag(bool *flag, PyObject *value) {
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return -1;
  *flag = truth != 0;
  return 0;
}

static int set_option(listener_options *options, PyObject *key,
                      PyObject *value) {
  if (!PyUnicode_Check(key)) return 0;
  if (PyUnicode_CompareWithASCIIString(key, "once") == 0) {
    return set_flag(&options->is_once, value);
  }
  if (PyUnicode_CompareWithASCIIString(key, "capture") == 0) {
    return set_flag(&options->is_capture, value);
  }
  if (PyUnicode_CompareWithASCIIString(key, "signal") == 0) {
    options->signal = value != Py_None ? value : NULL;
  }
  return 0; /* "passive" promises what is so anyway; others are unknown. */
}

static int set_options(listener_options *options, PyObject *dict) {
  PyObject *key;
  PyObject *value;
  Py_ssize_t at = 0;
  while (PyDict_Next(dict, &at, &key, &value)) {
    if (set_option(options, key, value) < 0) return -1;
  }
  return 0;
}

typedef struct listener_arguments {
  PyObject *type;
  PyObject *callback; /* None for none. */
  listener_options options;
} listener_arguments;

/* A function, or an object with handleEvent(). */
static int check_callback(core_state *state, PyObject *callback) {
  if (callback == Py_None || PyCallable_Check(callback)) return 0;
  PyObject *method;
  if (core_find_attribute(callback, state->handleEvent_name, &method) < 0) {
    return -1;
  }
  if (method != NULL) {
    Py_DECREF(method);
    return 0;
  }
  PyErr_Format(PyExc_TypeError,
               "a listener must be callable or have handleEvent(), not %.100s",
               Py_TYPE(callback)->tp_name);
  return -1;
}

/* `format` is of "UO|O", and names the method. */
static int get_arguments(core_state *state, PyObject *args, PyObject *kwargs,
                         const char *format, listener_arguments *out) {
  *out = (listener_arguments){.type = NULL};
  PyObject *options = Py_None;
  if (!PyArg_ParseTuple(args, format, &out->type, &out->callback, &options) ||
      check_callback(state, out->callback) < 0) {
    return -1;
  }
  if (PyDict_Check(options)) {
    if (set_options(&out->options, options) < 0) return -1;
  } else if (set_flag(&out->options.is_capture, options) < 0) {
    return -1;
  }
  return kwargs != NULL ? set_options(&out->options, kwargs) : 0;
}

/* -- AbortSignal ----------------------------------------------------------- */

/* Called by a signal: `pair` is a weak reference to the target and the
 * listener. */
static PyObject *remove_aborted(PyObject *pair, PyObject *event) {
  (void)event;
  PyObject *target = PyObject_CallNoArgs(PyTuple_GET_ITEM(pair, 0));
  if (target == NULL) return NULL;
  if (target != Py_None) {
    listener *entry = (listener *)PyTuple_GET_ITEM(pair, 1);
    if (take_out((core_target *)target, entry) < 0) {
      Py_DECREF(target);
      return NULL;
    }
  }
  Py_DECREF(target);
  Py_RETURN_NONE;
}

static PyMethodDef remove_aborted_def = {"remove", remove_aborted, METH_O,
                                         NULL};

static int is_aborted(core_state *state, PyObject *signal) {
  PyObject *aborted;
  if (core_find_attribute(signal, state->aborted_name, &aborted) < 0) return -1;
  if (aborted == NULL) {
    PyErr_Format(PyExc_TypeError, "signal must be an AbortSignal, not %.100s",
                 Py_TYPE(signal)->tp_name);
    return -1;
  }
  const int result = PyObject_IsTrue(aborted);
  Py_DECREF(aborted);
  return result;
}

/* Has the signal remove the listener. */
static int follow_signal(core_state *state, core_target *target,
                         listener *entry, PyObject *signal) {
  PyObject *weak = PyWeakref_NewRef((PyObject *)target, NULL);
  PyObject *pair = weak != NULL ? PyTuple_Pack(2, weak, entry) : NULL;
  PyObject *remover =
      pair != NULL ? PyCFunction_New(&remove_aborted_def, pair) : NULL;
  PyObject *result = NULL;
  if (remover != NULL) {
    result = PyObject_CallMethodObjArgs(signal, state->addEventListener_name,
                                        state->abort_name, remover, NULL);
  }
  Py_XDECREF(weak);
  Py_XDECREF(pair);
  Py_XDECREF(remover);
  Py_XDECREF(result);
  return result != NULL ? 0 : -1;
}

/* -- Dispatch -------------------------------------------------------------- */

/* Calls one listener. */
static int invoke(core_state *state, core_target *target, listener *entry,
                  PyObject *event, PyObject *host) {
  PyObject *callback = Py_NewRef(entry->callback);
  if (entry->is_once && take_out(target, entry) < 0) {
    Py_DECREF(callback);
    return -1;
  }
  int result = 0;
  if (PyCallable_Check(callback)) {
    result = core_host_call(state, host, callback, event);
  } else if (!entry->is_handler) {
    /* Of a handler attribute an object is kept, but not called. */
    PyObject *method = PyObject_GetAttr(callback, state->handleEvent_name);
    result = method != NULL ? core_host_call(state, host, method, event)
                            : core_host_report(state, host, callback);
    Py_XDECREF(method);
  }
  Py_DECREF(callback);
  return result;
}

static bool is_for(const listener *entry, core_kind kind,
                   const core_event *event) {
  if (entry->kind != kind) return false;
  return kind != CORE_CUSTOM ||
         PyUnicode_Compare(entry->type, event->type) == 0;
}

/* Returns the one listener for an event, borrowed; NULL if there are none or
 * several, and then whether there are any. */
static listener *find_only(const core_target *target, core_kind kind,
                           const core_event *event, bool *out_any) {
  listener *only = NULL;
  *out_any = false;
  for (Py_ssize_t i = 0; i < listener_count(target); i++) {
    listener *entry = listener_at(target, i);
    if (!is_for(entry, kind, event)) continue;
    if (*out_any) return NULL;
    *out_any = true;
    only = entry;
  }
  return only;
}

/* DOM's "inner invoke", over a copy of the list: who is added meanwhile is not
 * called, nor who is removed. */
static int invoke_all(core_state *state, core_target *target, core_kind kind,
                      core_event *event, PyObject *host) {
  PyObject *copy =
      PyList_GetSlice(target->listeners, 0, listener_count(target));
  if (copy == NULL) return -1;
  int result = 0;
  for (int is_bubbling = 0; is_bubbling <= 1; is_bubbling++) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(copy) && result == 0; i++) {
      listener *entry = (listener *)PyList_GET_ITEM(copy, i);
      if (entry->is_capture == !is_bubbling && !entry->is_removed &&
          !event->is_stopped && is_for(entry, kind, event)) {
        result = invoke(state, target, entry, (PyObject *)event, host);
      }
    }
  }
  Py_DECREF(copy);
  return result;
}

static int invoke_listeners(core_state *state, core_target *target,
                            core_kind kind, core_event *event, PyObject *host) {
  bool has_any;
  listener *only = find_only(target, kind, event, &has_any);
  if (only == NULL) {
    return has_any ? invoke_all(state, target, kind, event, host) : 0;
  }
  Py_INCREF(only);
  const int result = invoke(state, target, only, (PyObject *)event, host);
  Py_DECREF(only);
  return result;
}

int core_target_dispatch(core_state *state, core_target *target, core_kind kind,
                         PyObject *op, PyObject *host) {
  core_event *event = (core_event *)op;
  Py_XSETREF(event->target, Py_NewRef((PyObject *)target));
  event->current_target = Py_NewRef((PyObject *)target);
  event->is_dispatched = 1;
  int result;
  if (kind == CORE_MESSAGE && target->on_message != NULL) {
    PyObject *callback = Py_NewRef(target->on_message);
    result = core_host_call(state, host, callback, op);
    Py_DECREF(callback);
  } else {
    result = invoke_listeners(state, target, kind, event, host);
  }
  event->is_dispatched = event->is_stopped = 0;
  Py_CLEAR(event->current_target);
  return result;
}

/* -- Methods --------------------------------------------------------------- */

static PyObject *target_add(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_target *self = (core_target *)op;
  core_state *state = core_state_of(Py_TYPE(op));
  listener_arguments a;
  if (get_arguments(state, args, kwargs, "UO|O:addEventListener", &a) < 0)
    return NULL;
  if (a.callback == Py_None) Py_RETURN_NONE;
  if (a.options.signal != NULL) {
    const int aborted = is_aborted(state, a.options.signal);
    if (aborted < 0) return NULL;
    if (aborted) Py_RETURN_NONE;
  }
  listener *entry;
  if (find(self, a.type, a.callback, a.options.is_capture, &entry) < 0) {
    return NULL;
  }
  if (entry != NULL) Py_RETURN_NONE;
  const listener flags = {.kind = kind_of(state, a.type),
                          .is_once = a.options.is_once,
                          .is_capture = a.options.is_capture};
  entry = append(state, self, &flags, a.type, a.callback);
  if (entry == NULL) return NULL;
  if (a.options.signal != NULL &&
      follow_signal(state, self, entry, a.options.signal) < 0) {
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *target_remove(PyObject *op, PyObject *args, PyObject *kwargs) {
  core_target *self = (core_target *)op;
  listener_arguments a;
  if (get_arguments(core_state_of(Py_TYPE(op)), args, kwargs,
                    "UO|O:removeEventListener", &a) < 0) {
    return NULL;
  }
  listener *entry;
  if (find(self, a.type, a.callback, a.options.is_capture, &entry) < 0 ||
      (entry != NULL && take_out(self, entry) < 0)) {
    return NULL;
  }
  Py_RETURN_NONE;
}

static PyObject *dispatch(PyObject *op, PyObject *arg, bool is_trusted) {
  core_state *state = core_state_of(Py_TYPE(op));
  if (!PyObject_TypeCheck(arg, state->event_type)) {
    PyErr_Format(PyExc_TypeError, "event must be an Event, not %.100s",
                 Py_TYPE(arg)->tp_name);
    return NULL;
  }
  core_event *event = (core_event *)arg;
  if (event->is_dispatched) {
    PyErr_SetString(state->invalid_state_error,
                    "the event is being dispatched");
    return NULL;
  }
  PyObject *host;
  if (core_host_running(state, &host) < 0) return NULL;
  event->is_trusted = is_trusted;
  const int result = core_target_dispatch(
      state, (core_target *)op, kind_of(state, event->type), arg, host);
  Py_XDECREF(host);
  if (result < 0) return NULL;
  return PyBool_FromLong(!event->is_canceled);
}

static PyObject *target_dispatch(PyObject *op, PyObject *event) {
  return dispatch(op, event, false);
}

static PyObject *target_dispatch_own(PyObject *op, PyObject *event) {
  return dispatch(op, event, true);
}

static PyObject *target_hears(PyObject *op, PyObject *type) {
  if (!PyUnicode_Check(type)) {
    PyErr_SetString(PyExc_TypeError, "type must be a str");
    return NULL;
  }
  const core_kind kind = kind_of(core_state_of(Py_TYPE(op)), type);
  return PyBool_FromLong(((core_target *)op)->heard & (unsigned)kind);
}

/* -- Handler attributes ---------------------------------------------------- */

static listener *find_handler(const core_target *target, core_kind kind) {
  for (Py_ssize_t i = 0; i < listener_count(target); i++) {
    listener *entry = listener_at(target, i);
    if (entry->is_handler && entry->kind == kind) return entry;
  }
  return NULL;
}

static core_kind kind_of_closure(void *closure) {
  return (core_kind)(uintptr_t)closure;
}

PyObject *core_target_get_handler(PyObject *op, void *closure) {
  const listener *entry =
      find_handler((core_target *)op, kind_of_closure(closure));
  return Py_NewRef(entry != NULL ? entry->callback : Py_None);
}

/* HTML, "event handlers": the first value takes a place in the list, later ones
 * take over that place, and None gives it up. */
int core_target_set_handler(PyObject *op, PyObject *value, void *closure) {
  core_target *self = (core_target *)op;
  core_state *state = core_state_of(Py_TYPE(op));
  const core_kind kind = kind_of_closure(closure);
  if (value == NULL) value = Py_None;
  if (check_callback(state, value) < 0) return -1;
  listener *entry = find_handler(self, kind);
  if (value == Py_None) return entry != NULL ? take_out(self, entry) : 0;
  if (entry != NULL) {
    PyObject *old = entry->callback;
    entry->callback = Py_NewRef(value);
    update_heard(self);
    Py_DECREF(old);
    return 0;
  }
  const listener flags = {.kind = kind, .is_handler = true};
  entry = append(state, self, &flags, name_of_kind(state, kind), value);
  return entry != NULL ? 0 : -1;
}

/* -- The type -------------------------------------------------------------- */

int core_target_traverse(core_target *target, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(target));
  Py_VISIT(target->listeners);
  return 0;
}

void core_target_clear(core_target *target) {
  target->heard = 0;
  target->on_message = NULL;
  Py_CLEAR(target->listeners);
}

static int target_traverse(PyObject *self, visitproc visit, void *arg) {
  return core_target_traverse((core_target *)self, visit, arg);
}

static int target_clear(PyObject *self) {
  core_target_clear((core_target *)self);
  return 0;
}

static void target_dealloc(PyObject *self) {
  PyObject_GC_UnTrack(self);
  if (((core_target *)self)->weakrefs != NULL) PyObject_ClearWeakRefs(self);
  (void)target_clear(self);
  core_free(self);
}

static PyMethodDef target_methods[] = {
    {"addEventListener", CORE_METHOD(target_add), METH_VARARGS | METH_KEYWORDS,
     "addEventListener($self, type, listener, options=None, /, "
     "**kwargs)\n--\n\n"
     "Have `listener`, a callable or an object with handleEvent(), called "
     "with\n"
     "each event of the name `type`. Options: once, capture, signal."},
    {"removeEventListener", CORE_METHOD(target_remove),
     METH_VARARGS | METH_KEYWORDS,
     "removeEventListener($self, type, listener, options=None, /, "
     "**kwargs)\n--\n\n"
     "Take back addEventListener() with the same arguments."},
    {"dispatchEvent", target_dispatch, METH_O,
     "dispatchEvent($self, event, /)\n--\n\n"
     "Call the listeners for `event` now. Return False if it was canceled."},
    {"_dispatch", target_dispatch_own, METH_O,
     "_dispatch($self, event, /)\n--\n\n"
     "The same for an event of the library, which is trusted."},
    {"_hears", target_hears, METH_O,
     "_hears($self, type, /)\n--\n\n"
     "Return whether there are listeners to a type of a WebSocket's events."},
    {0}};

static PyMemberDef target_members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                        offsetof(core_target, weakrefs),
                                        READONLY, NULL},
                                       {0}};

static PyType_Slot target_slots[] = {
    {Py_tp_doc, "EventTarget()\n--\n\nWhat events are dispatched to."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, target_dealloc},
    {Py_tp_traverse, target_traverse},
    {Py_tp_clear, target_clear},
    {Py_tp_methods, target_methods},
    {Py_tp_members, target_members},
    {0, NULL}};

static PyType_Spec target_spec = {
    .name = "libws.EventTarget",
    .basicsize = sizeof(core_target),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = target_slots};

int core_add_targets(PyObject *module) {
  core_state *state = core_state_of_module(module);
  if (core_add_type(module, &listener_spec, NULL, &state->listener_type) < 0) {
    return -1;
  }
  return core_add_type(module, &target_spec, NULL, &state->event_target_type);
}
