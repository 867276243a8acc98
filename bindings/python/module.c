/* module.c - libws._core: its state, and the order in which it is filled. */
#include "state.h"

#include <stddef.h>

static PyModuleDef module_def;

/* -- State ----------------------------------------------------------------- */

#if PY_VERSION_HEX < 0x030B0000
/* What later versions have: the module among a type's and its bases'. */
static PyObject *find_module(PyTypeObject *type) {
  PyObject *mro = type->tp_mro;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
    PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
    if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE)) continue;
    PyObject *module = ((PyHeapTypeObject *)base)->ht_module;
    if (module != NULL && PyModule_GetDef(module) == &module_def) return module;
  }
  return NULL;
}
#else
static PyObject *find_module(PyTypeObject *type) {
  return PyType_GetModuleByDef(type, &module_def);
}
#endif

core_state *core_state_of(PyTypeObject *type) {
  return core_state_of_module(find_module(type));
}

PyObject *core_refuse_new(PyTypeObject *type, PyObject *args,
                          PyObject *kwargs) {
  (void)args, (void)kwargs;
  PyErr_Format(PyExc_TypeError, "cannot create '%.100s' instances",
               type->tp_name);
  return NULL;
}

int core_add_type(PyObject *module, PyType_Spec *spec, PyObject *bases,
                  PyTypeObject **out_type) {
  PyObject *type = PyType_FromModuleAndSpec(module, spec, bases);
  if (type == NULL) return -1;
  *out_type = (PyTypeObject *)type;
  const char *name = strrchr(spec->name, '.') + 1;
  return name[0] == '_' ? 0 : PyModule_AddObjectRef(module, name, type);
}

/* -- Constants ------------------------------------------------------------- */

/* A number that reads the same through the class and through its objects. */
typedef struct constant {
  PyObject_HEAD
  PyObject *value;
} constant;

static PyObject *constant_get(PyObject *self, PyObject *object,
                              PyObject *type) {
  (void)object, (void)type;
  return Py_NewRef(((constant *)self)->value);
}

static int constant_set(PyObject *self, PyObject *object, PyObject *value) {
  (void)self, (void)object, (void)value;
  PyErr_SetString(PyExc_AttributeError, "the constant cannot be changed");
  return -1;
}

static void constant_dealloc(PyObject *self) {
  Py_XDECREF(((constant *)self)->value);
  core_free(self);
}

static PyType_Slot constant_slots[] = {
    {Py_tp_doc, "A number that cannot be changed."},
    {Py_tp_new, core_refuse_new},
    {Py_tp_dealloc, constant_dealloc},
    {Py_tp_descr_get, constant_get},
    {Py_tp_descr_set, constant_set},
    {0, NULL}};

static PyType_Spec constant_spec = {.name = "libws._core._Constant",
                                    .basicsize = sizeof(constant),
                                    .flags = Py_TPFLAGS_DEFAULT,
                                    .slots = constant_slots};

static PyObject *constant_new(core_state *state, long number) {
  PyTypeObject *type = state->constant_type;
  constant *self = (constant *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->value = PyLong_FromLong(number);
  if (self->value == NULL) Py_CLEAR(self);
  return (PyObject *)self;
}

int core_add_constants(core_state *state, PyTypeObject *type,
                       const char *const *names, long count) {
  for (long i = 0; i < count; i++) {
    PyObject *object = constant_new(state, i);
    if (object == NULL) return -1;
    /* Past the type's own check: it is not in use yet. */
    const int result = PyDict_SetItemString(type->tp_dict, names[i], object);
    Py_DECREF(object);
    if (result < 0) return -1;
  }
  PyType_Modified(type);
  return 0;
}

/* -- Filling the module ---------------------------------------------------- */

static int add_names(core_state *state) {
#define INTERN(name)                                      \
  state->name##_name = PyUnicode_InternFromString(#name); \
  if (state->name##_name == NULL) return -1;
  CORE_NAMES(INTERN)
#undef INTERN
  state->empty_text = PyUnicode_InternFromString("");
  state->unexpected_name = PyUnicode_InternFromString("unexpected-response");
  const bool has_both =
      state->empty_text != NULL && state->unexpected_name != NULL;
  return has_both ? 0 : -1;
}

/* All names but those with an underscore. */
static int add_all(PyObject *module) {
  PyObject *all = PyList_New(0);
  if (all == NULL) return -1;
  PyObject *name;
  PyObject *value;
  Py_ssize_t at = 0;
  int result = 0;
  while (result == 0 &&
         PyDict_Next(PyModule_GetDict(module), &at, &name, &value)) {
    if (PyUnicode_READ_CHAR(name, 0) != '_') result = PyList_Append(all, name);
  }
  if (result == 0) result = PyModule_AddObjectRef(module, "__all__", all);
  Py_DECREF(all);
  return result;
}

static int module_exec(PyObject *module) {
  static int (*const parts[])(PyObject *) = {
      core_add_errors,   core_add_events,      core_add_targets,
      core_add_requests, core_add_tls,         core_add_loops,
      core_add_timers,   core_add_receivers,   core_add_sockets,
      core_add_servers,  core_add_connections, add_all};
  core_state *state = core_state_of_module(module);
  if (add_names(state) < 0 ||
      core_add_type(module, &constant_spec, NULL, &state->constant_type) < 0) {
    return -1;
  }
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
    if (parts[i](module) < 0) return -1;
  }
  return PyModule_AddStringConstant(module, "__version__", ws_version());
}

/* -- The module ------------------------------------------------------------ */

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
  core_state *state = core_state_of_module(module);
#define VISIT(name) Py_VISIT(state->name##_type);
  CORE_TYPES(VISIT)
#undef VISIT
#define VISIT(name) Py_VISIT(state->name##_error);
  CORE_ERRORS(VISIT)
#undef VISIT
  Py_VISIT(state->sent);
  Py_VISIT(state->words);
  Py_VISIT(state->get_running_loop);
  Py_VISIT(state->host_module);
  return 0;
}

static int module_clear(PyObject *module) {
  core_state *state = core_state_of_module(module);
#define CLEAR(name) Py_CLEAR(state->name##_type);
  CORE_TYPES(CLEAR)
#undef CLEAR
#define CLEAR(name) Py_CLEAR(state->name##_error);
  CORE_ERRORS(CLEAR)
#undef CLEAR
#define CLEAR(name) Py_CLEAR(state->name##_name);
  CORE_NAMES(CLEAR)
#undef CLEAR
  Py_CLEAR(state->empty_text);
  Py_CLEAR(state->unexpected_name);
  Py_CLEAR(state->sent);
  Py_CLEAR(state->words);
  Py_CLEAR(state->get_running_loop);
  Py_CLEAR(state->host_module);
  return 0;
}

static void module_free(void *module) {
  (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL}};

static PyModuleDef module_def = {.m_base = PyModuleDef_HEAD_INIT,
                                 .m_name = "libws._core",
                                 .m_doc = "The C library libws for Python.",
                                 .m_size = sizeof(core_state),
                                 .m_slots = module_slots,
                                 .m_traverse = module_traverse,
                                 .m_clear = module_clear,
                                 .m_free = module_free};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
  return PyModuleDef_Init(&module_def);
}
