/* Blocks: the iterator that a WSGI server takes a recorded body's blocks from. Counts as bodies.py's _record() does.
 *
 * Knows that a block is accepted when the server asks for the next. Does not close the app's iterable.
 */

#include "counting.h"

typedef struct {
    PyObject_HEAD
    Timing timing;
    PyObject *iterator;  /* NULL once it is over */
    PyObject *recording; /* is given exhausted_at */
    PyObject *failed;    /* called with it and what the app raised */
    double produced; /* of the block at hand */
    Py_ssize_t length;
    char at_hand, running;
} Blocks;

/* The app raised: failed(recording, error) hears of it, and it stays on its way whatever that raises itself. */
static void
blocks_tell(Blocks *self)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *done = PyObject_CallFunctionObjArgs(self->failed, self->recording, error, NULL);
    if (done == NULL) {
        PyErr_WriteUnraisable(self->failed);
    }
    Py_XDECREF(done);
    PyErr_Restore(type, error, traceback);
}

static PyObject *
blocks_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"iterator", "tally", "started_at", "recording", "failed", "clock", NULL};
    PyObject *iterator, *tally, *recording, *failed, *clock;
    double start;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOdOOO:Blocks", names, &iterator, &tally, &start, &recording, &failed,
                                     &clock)) {
        return NULL;
    }
    if (!PyIter_Check(iterator)) {
        return PyErr_Format(PyExc_TypeError, "Blocks takes an iterator, not %.100s.", Py_TYPE(iterator)->tp_name);
    }
    Blocks *self = (Blocks *)type->tp_alloc(type, 0);
    if (self != NULL) {
        if (begin(&self->timing, tally, start, clock) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->iterator = Py_NewRef(iterator);
        self->recording = Py_NewRef(recording);
        self->failed = Py_NewRef(failed);
    }
    return (PyObject *)self;
}

static PyObject *
blocks_next(Blocks *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "Another thread is waiting for this stream's next block.");
        return NULL;
    }
    if (self->iterator == NULL) {
        return NULL;
    }
    if (self->at_hand) {
        double asked;
        if (now(&self->timing, &asked) < 0) {
            return NULL;
        }
        self->at_hand = 0;
        count(&self->timing, self->produced, self->length, asked);
    }
    PyObject *iterator = Py_NewRef(self->iterator); /* close() may come while it runs */
    self->running = 1;
    PyObject *block = Py_TYPE(iterator)->tp_iternext(iterator);
    self->running = 0;
    Py_DECREF(iterator);
    if (block == NULL) {
        PyObject *error = PyErr_Occurred();
        if (error != NULL && !PyErr_GivenExceptionMatches(error, PyExc_StopIteration)) {
            blocks_tell(self);
            Py_CLEAR(self->iterator);
            return NULL;
        }
        PyErr_Clear();
        Py_CLEAR(self->iterator);
        double ended;
        if (now(&self->timing, &ended) < 0) {
            return NULL;
        }
        PyObject *seconds = PyFloat_FromDouble(ended);
        if (seconds != NULL) {
            PyObject_SetAttr(self->recording, streamproof_exhausted_at, seconds);
            Py_DECREF(seconds);
        }
        return NULL;
    }
    if (now(&self->timing, &self->produced) < 0) {
        Py_DECREF(block);
        return NULL;
    }
    if (PyBytes_CheckExact(block)) {
        self->length = PyBytes_GET_SIZE(block);
    }
    else if ((self->length = PyObject_Size(block)) < 0) {
        PyErr_Clear(); /* the server will refuse it, and say so better */
        self->length = 0;
    }
    self->at_hand = 1;
    return block;
}

static void
blocks_over(Blocks *self)
{
    if (self->running) {
        return; /* closed from another thread: its block is not at hand */
    }
    Py_CLEAR(self->iterator);
    if (self->at_hand) {
        self->at_hand = 0;
        streamproof_add(self->timing.tally, self->produced - self->timing.start, self->length, NULL);
    }
}

static PyObject *
blocks_close(Blocks *self, PyObject *Py_UNUSED(ignored))
{
    blocks_over(self);
    Py_RETURN_NONE;
}

static int
blocks_traverse(Blocks *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->timing.clock);
    Py_VISIT(self->iterator);
    Py_VISIT(self->recording);
    Py_VISIT(self->failed);
    return 0;
}

static int
blocks_clear(Blocks *self)
{
    Py_CLEAR(self->timing.clock);
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->recording);
    Py_CLEAR(self->failed);
    return 0;
}

static void
blocks_dealloc(Blocks *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->timing.tally != NULL) {
        blocks_over(self); /* dropped without close(): the last block must be in the tally before the recording tells */
    }
    blocks_clear(self);
    Py_CLEAR(self->timing.tally);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef blocks_methods[] = {
    {"close", (PyCFunction)blocks_close, METH_NOARGS, "No more blocks; the one at hand was not taken."},
    {NULL},
};

static PyType_Slot blocks_slots[] = {
    {Py_tp_doc, "Blocks(iterator, tally, started_at, recording, failed, clock): its blocks, counted."},
    {Py_tp_new, blocks_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, blocks_next},
    {Py_tp_methods, blocks_methods},
    {Py_tp_traverse, blocks_traverse},
    {Py_tp_clear, blocks_clear},
    {Py_tp_dealloc, blocks_dealloc},
    {0, NULL},
};

PyType_Spec streamproof_blocks_spec = {
    "streamproof.adapters._counting.Blocks",
    sizeof(Blocks),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    blocks_slots,
};
