/* timer.c - Timer: calls back once. */
#include "convert.h"
#include "errors.h"
#include "host.h"
#include "loop.h"

/* It has a handle, and the loop keeps it alive, while it is set. */
typedef struct core_timer {
  PyObject_HEAD
  core_root root;
  core_loop *loop;
  ws_timer *handle;
  PyObject *callback;
} core_timer;

static void timer_on_end(core_root *root) {
  ((core_timer *)root->object)->handle = NULL;
}

/* Never called by the library: ring() is, by the dispatcher. */
static void timer_task(void *arg) {
  (void)arg;
}

static int set_timer(core_timer *self, PyObject *delay) {
  uint64_t delay_ms;
  if (core_milliseconds(delay, "delay", &delay_ms) < 0 ||
      core_loop_check(self->loop) < 0) {
    return -1;
  }
  if (self->handle != NULL) {
    ws_timer_set(self->handle, delay_ms);
    return 0;
  }
  const int err = ws_timer_new(self->loop->handle, delay_ms, timer_task, self,
                               &self->handle);
  if (err != 0) return core_raise(self->loop->state, err, NULL);
  core_loop_keep(self->loop, &self->root);
  return 0;
}

static void unset_timer(core_timer *self) {
  ws_timer_free(self->handle);
  self->handle = NULL;
  core_loop_let_go(&self->root);
}

int core_timer_ring(core_loop *loop, void *arg) {
  core_timer *self = arg;
  Py_INCREF(self);
  unset_timer(self);
  PyObject *result = PyObject_CallNoArgs(self->callback);
  const int status = result != NULL ? 0
                                    : core_host_report(loop->state, loop->host,
                                                       self->callback);
  Py_XDECREF(result);
  Py_DECREF(self);
  return status;
}

static PyObject *timer_set(PyObject *op, PyObject *delay) {
  if (set_timer((core_timer *)op, delay) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *timer_cancel(PyObject *op, PyObject *unused) {
  (void)unused;
  core_timer *self = (core_timer *)op;
  if (self->handle != NULL) {
    if (core_loop_check(self->loop) < 0) return NULL;
    unset_timer(self); /* The caller has a reference. */
  }
  Py_RETURN_NONE;
}

static int timer_traverse(PyObject *op, visitproc visit, void *arg) {
  core_timer *self = (core_timer *)op;
  Py_VISIT(Py_TYPE(op));
  Py_VISIT(self->loop);
  Py_VISIT(self->callback);
  return 0;
}

static int timer_clear(PyObject *op) {
  Py_CLEAR(((core_timer *)op)->callback);
  return 0;
}

static void timer_dealloc(PyObject *op) {
  PyObject_GC_UnTrack(op);
  (void)timer_clear(op);
  Py_XDECREF(((core_timer *)op)->loop);
  core_free(op);
}

static PyMethodDef timer_methods[] = {
    {"set", timer_set, METH_O,
     "set($self, delay, /)\n--\n\nRing `delay` seconds from now, once."},
    {"cancel", timer_cancel, METH_NOARGS,
     "cancel($self, /)\n--\n\nDo not ring."},
    {0}};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc, "Calls back after a time; made by Loop.timer()."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, timer_dealloc},
    {Py_tp_traverse, timer_traverse},
    {Py_tp_clear, timer_clear},
    {Py_tp_methods, timer_methods},
    {0, NULL}};

static PyType_Spec timer_spec = {
    .name = "libws.Timer",
    .basicsize = sizeof(core_timer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = timer_slots};

PyObject *core_loop_timer(PyObject *op, PyObject *args) {
  core_loop *self = (core_loop *)op;
  PyObject *delay;
  PyObject *callback;
  if (!PyArg_ParseTuple(args, "OO:timer", &delay, &callback)) return NULL;
  PyTypeObject *type = self->state->timer_type;
  core_timer *timer = (core_timer *)type->tp_alloc(type, 0);
  if (timer == NULL) return NULL;
  timer->root =
      (core_root){.object = (PyObject *)timer, .on_end = timer_on_end};
  timer->loop = (core_loop *)Py_NewRef(op);
  timer->callback = Py_NewRef(callback);
  if (set_timer(timer, delay) < 0) Py_CLEAR(timer);
  return (PyObject *)timer;
}

int core_add_timers(PyObject *module) {
  return core_add_type(module, &timer_spec, NULL,
                       &core_state_of_module(module)->timer_type);
}
