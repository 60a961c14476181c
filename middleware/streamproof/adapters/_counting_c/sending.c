/* Sending: one message of an ASGI app on its way to the server, an awaitable that behaves like a coroutine.
 *
 * Knows the generator protocol (PEP 342, PEP 492): send, throw and close go to the server's own awaitable. Its chunk is
 * produced when it is first awaited and accepted when the server's send is over. Does not know which messages are pieces
 * of a body (sender.c).
 */

#include "counting.h"

static int
sending_begin(Sending *self)
{
    if (now(&self->sender->timing, &self->produced) < 0) {
        return -1;
    }
    PyObject *message = self->message;
    self->message = NULL;
    PyObject *awaitable = PyObject_CallOneArg(self->sender->send, message);
    Py_DECREF(message);
    if (awaitable == NULL) {
        return -1;
    }
    if (PyCoro_CheckExact(awaitable) || PyGen_CheckExact(awaitable)) { /* a generator: decorated by types.coroutine */
        self->inner = awaitable;
        return 0;
    }
    PyAsyncMethods *async = Py_TYPE(awaitable)->tp_as_async;
    if (async == NULL || async->am_await == NULL) {
        PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression", Py_TYPE(awaitable)->tp_name);
    }
    else if ((self->inner = async->am_await(awaitable)) != NULL && !PyIter_Check(self->inner)) {
        PyErr_Format(PyExc_TypeError, "__await__() returned non-iterator of type '%.100s'", Py_TYPE(self->inner)->tp_name);
        Py_CLEAR(self->inner);
    }
    Py_DECREF(awaitable);
    return self->inner == NULL ? -1 : 0;
}

/* The server's send came back: 0 with its chunk counted, -1 with an exception. */
static int
sending_done(Sending *self)
{
    double accepted;
    self->state = OVER;
    Py_CLEAR(self->inner);
    if (now(&self->sender->timing, &accepted) < 0) {
        return -1;
    }
    count(&self->sender->timing, self->produced, self->length, accepted);
    return 0;
}

/* The server refused the message: refused(error, produced, length, None) hears of it, and it stays on its way. */
static void
sending_refused(Sending *self)
{
    PyObject *type, *error, *traceback;
    self->state = OVER;
    Py_CLEAR(self->inner);
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *watched = self->sender->watched, *done = NULL;
    PyObject *produced = PyFloat_FromDouble(self->produced), *length = PyLong_FromSsize_t(self->length);
    if (produced != NULL && length != NULL) {
        done = PyObject_CallMethodObjArgs(watched, streamproof_refused, error, produced, length, Py_None, NULL);
    }
    if (done == NULL) {
        PyErr_WriteUnraisable(watched);
    }
    Py_XDECREF(produced);
    Py_XDECREF(length);
    Py_XDECREF(done);
    PyErr_Restore(type, error, traceback);
}

static PySendResult
sending_send(PyObject *object, PyObject *value, PyObject **result)
{
    Sending *self = (Sending *)object;
    *result = NULL;
    if (self->state == CALLED) {
        self->state = RUNNING;
        if (value != Py_None) {
            self->state = CALLED;
            PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
            return PYGEN_ERROR;
        }
        if (sending_begin(self) < 0) {
            sending_refused(self);
            return PYGEN_ERROR;
        }
    }
    else if (self->state == OVER || self->inner == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    PyObject *inner = Py_NewRef(self->inner);
    PySendResult how = PyIter_Send(inner, value, result);
    Py_DECREF(inner);
    if (how == PYGEN_NEXT || self->state == OVER) {
        return how;
    }
    if (how == PYGEN_ERROR) {
        sending_refused(self);
        return how;
    }
    Py_SETREF(*result, Py_NewRef(Py_None));
    if (sending_done(self) < 0) {
        Py_CLEAR(*result);
        return PYGEN_ERROR;
    }
    return PYGEN_RETURN;
}

static PyObject *
sending_next(PyObject *self)
{
    PyObject *result;
    switch (sending_send(self, Py_None, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        Py_DECREF(result); /* None: StopIteration without a value */
        return NULL;
    default:
        return NULL;
    }
}

static PyObject *
sending_send_method(PyObject *self, PyObject *value)
{
    PyObject *result;
    switch (sending_send(self, value, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        Py_DECREF(result);
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    default:
        return NULL;
    }
}

static PyObject *
raise_given(PyObject *args) /* raises what throw() was given */
{
    PyObject *type, *value = Py_None, *traceback = Py_None;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback)) {
        return NULL;
    }
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value == Py_None ? NULL : value);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "exceptions must be classes or instances deriving from BaseException");
    }
    return NULL;
}

static PyObject *
sending_throw(Sending *self, PyObject *args)
{
    if (self->state == OVER) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return NULL;
    }
    if (self->state == CALLED || self->inner == NULL) {
        self->state = OVER;
        return raise_given(args);
    }
    PyObject *inner = Py_NewRef(self->inner), *yielded = NULL;
    PyObject *throw = PyObject_GetAttr(inner, streamproof_throw);
    if (throw != NULL) {
        yielded = PyObject_Call(throw, args, NULL);
        Py_DECREF(throw);
    }
    else if (PyErr_ExceptionMatches(PyExc_AttributeError)) { /* an iterator without it: raised here, as "yield from" does */
        PyErr_Clear();
        raise_given(args);
    }
    Py_DECREF(inner);
    if (yielded != NULL || self->state == OVER) {
        return yielded;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        sending_refused(self);
        return NULL;
    }
    PyErr_Clear();
    if (sending_done(self) == 0) {
        PyErr_SetNone(PyExc_StopIteration);
    }
    return NULL;
}

static int
sending_stop(Sending *self)
{
    if (self->state != RUNNING || self->inner == NULL) {
        self->state = OVER;
        return 0;
    }
    PyObject *inner = Py_NewRef(self->inner), *closed = NULL;
    PyObject *close = PyObject_GetAttr(inner, streamproof_close);
    if (close != NULL) {
        closed = PyObject_CallNoArgs(close);
        Py_DECREF(close);
    }
    else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        closed = Py_NewRef(Py_None);
    }
    Py_DECREF(inner);
    if (self->state == OVER) {
        Py_XDECREF(closed);
        return closed == NULL ? -1 : 0;
    }
    if (closed == NULL) {
        sending_refused(self);
        return -1;
    }
    Py_DECREF(closed);
    PyErr_SetNone(PyExc_GeneratorExit);
    sending_refused(self);
    PyErr_Clear();
    return 0;
}

static PyObject *
sending_close(Sending *self, PyObject *Py_UNUSED(ignored))
{
    if (sending_stop(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
sending_traverse(Sending *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->sender);
    Py_VISIT(self->message);
    Py_VISIT(self->inner);
    return 0;
}

static int
sending_clear(Sending *self)
{
    Py_CLEAR(self->sender);
    Py_CLEAR(self->message);
    Py_CLEAR(self->inner);
    return 0;
}

static void
sending_finalize(Sending *self)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (self->sender != NULL && sending_stop(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_Restore(type, error, traceback);
}

static void
sending_dealloc(Sending *self)
{
    if (self->state == RUNNING && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    Sender *sender = self->sender;
    self->sender = NULL;
    sending_clear(self);
    if (sender != NULL && sender->spare == NULL && Py_REFCNT(sender) > 1 && !PyObject_GC_IsFinalized((PyObject *)self)) {
        sender->spare = self;
    }
    else {
        PyTypeObject *type = Py_TYPE(self);
        PyObject_GC_Del(self);
        Py_DECREF(type);
    }
    Py_XDECREF(sender);
}

static PyMethodDef sending_methods[] = {
    {"send", sending_send_method, METH_O, "As a coroutine's."},
    {"throw", (PyCFunction)sending_throw, METH_VARARGS, "As a coroutine's."},
    {"close", (PyCFunction)sending_close, METH_NOARGS, "As a coroutine's."},
    {NULL},
};

static PyType_Slot sending_slots[] = {
    {Py_tp_doc, "One message on its way to the server: an awaitable, like a coroutine."},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, sending_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, sending_next},
    {Py_tp_methods, sending_methods},
    {Py_tp_traverse, sending_traverse},
    {Py_tp_clear, sending_clear},
    {Py_tp_finalize, sending_finalize},
    {Py_tp_dealloc, sending_dealloc},
    {0, NULL},
};

PyType_Spec streamproof_sending_spec = {
    "streamproof.adapters._counting.Sending",
    sizeof(Sending),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    sending_slots,
};
