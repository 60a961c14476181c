/* Tally: the sums of one response, as sansio/figures.py adds them up in Python: to the bit (tests/test_counting.py).
 *
 * Knows times and sizes, each time in seconds from the request. Constant memory. What the sums are read for, and what a
 * gap, a silence and backpressure are, is in figures.py.
 */

#include "counting.h"

#define MOST_BOUNDS 14 /* of figures.py's GAP_BOUNDS, checked when they are given */

struct Tally {
    PyObject_HEAD
    double first, last, accepted_at, silence, silence_at, backpressure, longest_backpressure, longest_gap;
    long long chunks, empty, bytes;
    unsigned int gaps[MOST_BOUNDS]; /* above each bound: too many of more than a millisecond take seven weeks */
    char silent; /* was there a silence? */
};

static double bounds[MOST_BOUNDS];
static Py_ssize_t bounds_given;

/* Counts one chunk; accepted_at is NULL when nobody took it any more. */
void
streamproof_add(Tally *self, double at, Py_ssize_t size, const double *accepted_at)
{
    if (size == 0) {
        self->empty++;
        return;
    }
    if (self->chunks == 0) {
        self->first = at;
    }
    else {
        double gap = at - self->last, silence = at - self->accepted_at;
        Py_ssize_t bucket = 0;
        while (bucket < bounds_given && gap > bounds[bucket]) {
            bucket++;
        }
        if (bucket > 0) {
            self->gaps[bucket - 1]++;
        }
        if (gap > self->longest_gap) {
            self->longest_gap = gap;
        }
        if (silence > self->silence) {
            self->silence = silence;
            self->silence_at = self->accepted_at;
            self->silent = 1;
        }
    }
    double accepted = accepted_at == NULL ? at : *accepted_at, waited = accepted - at;
    self->chunks++;
    self->bytes += size;
    self->last = at;
    self->accepted_at = accepted;
    self->backpressure += waited;
    if (waited > self->longest_backpressure) {
        self->longest_backpressure = waited;
    }
}

static PyObject *
tally_add(Tally *self, PyObject *args)
{
    double at, seconds = 0.0;
    Py_ssize_t size;
    PyObject *accepted_at;
    if (!PyArg_ParseTuple(args, "dnO:add", &at, &size, &accepted_at)) {
        return NULL;
    }
    if (accepted_at != Py_None && (seconds = PyFloat_AsDouble(accepted_at)) == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    streamproof_add(self, at, size, accepted_at == Py_None ? NULL : &seconds);
    Py_RETURN_NONE;
}

static PyObject *
tally_first(Tally *self, void *Py_UNUSED(closure))
{
    return self->chunks == 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(self->first);
}

static PyObject *
tally_silence_at(Tally *self, void *Py_UNUSED(closure))
{
    return self->silent ? PyFloat_FromDouble(self->silence_at) : Py_NewRef(Py_None);
}

static PyObject *
tally_gaps(Tally *self, void *Py_UNUSED(closure))
{
    PyObject *gaps = PyTuple_New(bounds_given + 1);
    long long rest = self->chunks > 0 ? self->chunks - 1 : 0;
    for (Py_ssize_t bucket = bounds_given; gaps != NULL && bucket >= 0; bucket--) {
        long long these = bucket > 0 ? self->gaps[bucket - 1] : rest;
        rest -= these;
        PyObject *count = PyLong_FromLongLong(these);
        if (count == NULL) {
            Py_CLEAR(gaps);
        }
        else {
            PyTuple_SET_ITEM(gaps, bucket, count);
        }
    }
    return gaps;
}

static void
tally_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef tally_methods[] = {
    {"add", (PyCFunction)tally_add, METH_VARARGS, "Count one chunk, produced and accepted at these times."},
    {NULL},
};

static PyMemberDef tally_members[] = {
    {"last", T_DOUBLE, offsetof(Tally, last), READONLY},
    {"accepted_at", T_DOUBLE, offsetof(Tally, accepted_at), READONLY},
    {"silence", T_DOUBLE, offsetof(Tally, silence), READONLY},
    {"backpressure", T_DOUBLE, offsetof(Tally, backpressure), READONLY},
    {"longest_backpressure", T_DOUBLE, offsetof(Tally, longest_backpressure), READONLY},
    {"longest_gap", T_DOUBLE, offsetof(Tally, longest_gap), READONLY},
    {"chunks", T_LONGLONG, offsetof(Tally, chunks), READONLY},
    {"empty", T_LONGLONG, offsetof(Tally, empty), READONLY},
    {"bytes", T_LONGLONG, offsetof(Tally, bytes), READONLY},
    {NULL},
};

static PyGetSetDef tally_attributes[] = {
    {"first", (getter)tally_first, NULL, NULL, NULL},
    {"silence_at", (getter)tally_silence_at, NULL, NULL, NULL},
    {"gaps", (getter)tally_gaps, NULL, NULL, NULL},
    {NULL},
};

static PyType_Slot tally_slots[] = {
    {Py_tp_doc, "Tally(): sums that start at nothing."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, tally_dealloc},
    {Py_tp_methods, tally_methods},
    {Py_tp_members, tally_members},
    {Py_tp_getset, tally_attributes},
    {0, NULL},
};

PyType_Spec streamproof_tally_spec = {
    "streamproof.adapters._counting.RunningStats",
    sizeof(Tally),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    tally_slots,
};

/* The upper bounds of the gap histogram, a tuple of seconds: -1 with an exception. */
int
streamproof_take_bounds(PyObject *given)
{
    Py_ssize_t size = PyTuple_Check(given) ? PyTuple_GET_SIZE(given) : -1;
    if (size < 0 || size > MOST_BOUNDS) {
        PyErr_Format(PyExc_ValueError, "A tuple of at most %d bounds was expected.", MOST_BOUNDS);
        return -1;
    }
    for (Py_ssize_t index = 0; index < size; index++) {
        bounds[index] = PyFloat_AsDouble(PyTuple_GET_ITEM(given, index));
    }
    bounds_given = size;
    return PyErr_Occurred() ? -1 : 0;
}
