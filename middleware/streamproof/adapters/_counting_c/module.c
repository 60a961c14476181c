/* The extension module _counting: its types, and the clock that they read. Optional; compiled.py decides on its use. */

#include "counting.h"

PyTypeObject *streamproof_sending_type, *streamproof_tally_type;
PyObject *streamproof_exhausted_at, *streamproof_throw, *streamproof_close, *streamproof_more, *streamproof_body;
PyObject *streamproof_other, *streamproof_refused;

static int
execute(PyObject *module)
{
    struct {
        PyObject **name;
        const char *text;
    } names[] = {
        {&streamproof_exhausted_at, "exhausted_at"},
        {&streamproof_throw, "throw"},
        {&streamproof_close, "close"},
        {&streamproof_more, "more_body"},
        {&streamproof_body, "body"},
        {&streamproof_other, "other"},
        {&streamproof_refused, "refused"},
    };
    for (size_t index = 0; index < sizeof(names) / sizeof(*names); index++) {
        if (*names[index].name == NULL && (*names[index].name = PyUnicode_InternFromString(names[index].text)) == NULL) {
            return -1;
        }
    }
    if (streamproof_sending_type == NULL) {
        streamproof_sending_type = (PyTypeObject *)PyType_FromSpec(&streamproof_sending_spec);
    }
    if (streamproof_tally_type == NULL) {
        streamproof_tally_type = (PyTypeObject *)PyType_FromSpec(&streamproof_tally_spec);
    }
    PyObject *blocks = PyType_FromModuleAndSpec(module, &streamproof_blocks_spec, NULL);
    PyObject *sender = PyType_FromModuleAndSpec(module, &streamproof_sender_spec, NULL);
    PyObject *line = streamproof_line_type(module);
    int failed = streamproof_sending_type == NULL || streamproof_tally_type == NULL || blocks == NULL || sender == NULL || line == NULL ||
                 PyModule_AddObjectRef(module, "Line", line) < 0 ||
                 PyModule_AddObjectRef(module, "Blocks", blocks) < 0 ||
                 PyModule_AddObjectRef(module, "Sender", sender) < 0 ||
                 PyModule_AddObjectRef(module, "RunningStats", (PyObject *)streamproof_tally_type) < 0 ||
                 PyModule_AddObjectRef(module, "Sending", (PyObject *)streamproof_sending_type) < 0;
    Py_XDECREF(blocks);
    Py_XDECREF(sender);
    Py_XDECREF(line);
    return failed ? -1 : 0;
}

static PyObject *
read_clock(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Timing timing = {0};
    double seconds = 0.0;
    now(&timing, &seconds);
    return PyFloat_FromDouble(seconds);
}

static PyObject *
gap_bounds(PyObject *Py_UNUSED(module), PyObject *bounds)
{
    if (streamproof_take_bounds(bounds) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"gap_bounds", gap_bounds, METH_O, "Take the upper bounds of the gap histogram, a tuple of seconds."},
    {"clock", read_clock, METH_NOARGS, "Seconds on the clock that is read here."},
    {NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* its types are shared under one GIL */
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_counting",
    .m_doc = "What both middlewares count chunk by chunk, compiled.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__counting(void)
{
    return PyModuleDef_Init(&definition);
}
