/* Sender: the send that a recorded ASGI app is given. Gives a Sending for each plain piece of the body.
 *
 * Knows the message of the ASGI specification, "Response Body - send event". All others go to the Python in asgi_record.py.
 */

#include "counting.h"

/* How many bytes of the body are in this message; -1 when it is not a plain piece of it, or with an exception. */
static Py_ssize_t
piece(PyObject *message)
{
    PyObject *more, *body = NULL;
    if (PyDict_CheckExact(message)) {
        if ((more = PyDict_GetItemWithError(message, streamproof_more)) == Py_True) {
            body = PyDict_GetItemWithError(message, streamproof_body);
        }
        if (body != NULL && PyBytes_CheckExact(body)) {
            return PyBytes_GET_SIZE(body);
        }
        if (more == NULL || more == Py_False) {
            return -1;
        }
    }
    Py_ssize_t length = -1;
    more = PyObject_GetItem(message, streamproof_more);
    int truth = more == NULL ? -1 : PyObject_IsTrue(more);
    Py_XDECREF(more);
    if (truth > 0 && (body = PyObject_GetItem(message, streamproof_body)) != NULL) {
        length = PyObject_Size(body);
        Py_DECREF(body);
    }
    if (PyErr_Occurred() && (PyErr_ExceptionMatches(PyExc_KeyError) || PyErr_ExceptionMatches(PyExc_TypeError))) {
        PyErr_Clear();
    }
    return length;
}

/* The message is read now: a middleware downstream may change it in place. */
static PyObject *
sender_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Sender *self = (Sender *)callable;
    if (names != NULL || PyVectorcall_NARGS(flags) != 1) {
        PyErr_SetString(PyExc_TypeError, "send() takes exactly one positional argument, a message.");
        return NULL;
    }
    PyObject *message = args[0];
    Py_ssize_t length = piece(message);
    if (length < 0) {
        return PyErr_Occurred() ? NULL : PyObject_CallMethodOneArg(self->watched, streamproof_other, message);
    }
    Sending *sending = self->spare;
    if (sending != NULL) {
        self->spare = NULL;
        _Py_NewReference((PyObject *)sending);
    }
    else if ((sending = PyObject_GC_New(Sending, streamproof_sending_type)) == NULL) {
        return NULL;
    }
    sending->sender = (Sender *)Py_NewRef(self);
    sending->message = Py_NewRef(message);
    sending->inner = NULL;
    sending->length = length;
    sending->state = CALLED;
    PyObject_GC_Track(sending);
    return (PyObject *)sending;
}

static PyObject *
sender_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"send", "tally", "started_at", "watched", "clock", NULL};
    PyObject *send, *tally, *watched, *clock;
    double start;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOdOO:Sender", names, &send, &tally, &start, &watched, &clock)) {
        return NULL;
    }
    Sender *self = (Sender *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->call = sender_call;
        if (begin(&self->timing, tally, start, clock) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->send = Py_NewRef(send);
        self->watched = Py_NewRef(watched);
    }
    return (PyObject *)self;
}

static int
sender_traverse(Sender *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->timing.clock);
    Py_VISIT(self->send);
    Py_VISIT(self->watched);
    return 0;
}

static int
sender_clear(Sender *self)
{
    Py_CLEAR(self->timing.clock);
    Py_CLEAR(self->send);
    Py_CLEAR(self->watched);
    return 0;
}

static void
sender_dealloc(Sender *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->spare != NULL) {
        PyObject_GC_Del(self->spare);
        Py_DECREF(streamproof_sending_type);
    }
    sender_clear(self);
    Py_CLEAR(self->timing.tally);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef sender_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Sender, call), READONLY},
    {NULL},
};

static PyType_Slot sender_slots[] = {
    {Py_tp_doc, "Sender(send, tally, started_at, watched, clock): a send that counts."},
    {Py_tp_new, sender_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, sender_members},
    {Py_tp_traverse, sender_traverse},
    {Py_tp_clear, sender_clear},
    {Py_tp_dealloc, sender_dealloc},
    {0, NULL},
};

PyType_Spec streamproof_sender_spec = {
    "streamproof.adapters._counting.Sender",
    sizeof(Sender),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, /* and marked by asgi_record.py */
    sender_slots,
};
