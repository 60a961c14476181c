/* Counts the chunks of a response as sansio/stats.py, wsgi/bodies.py and asgi/recording.py do in Python, at less cost.
 *
 * That Python is the reference; compiled.py decides which of the two counts. Only the stable ABI is used, so one build
 * serves every CPython from 3.11 on that has a GIL. Times are seconds by CLOCK_MONOTONIC, which is time.perf_counter's
 * clock on Linux (compiled.py asks), or by a clock that is given, as tests do.
 */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <limits.h>
#include <structmember.h>
#include <time.h>

#define NAME "streamproof.adapters._counting."
#define BOUNDS ((int)(sizeof(gap_bounds) / sizeof(*gap_bounds)))

/* GAP_BOUNDS of sansio/stats.py */
static const double gap_bounds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0};

/* What the module holds for as long as the interpreter runs. */
typedef struct {
    PyTypeObject *stats, *sending, *coroutine;
    PyObject *type, *body, *more_body; /* the keys of a message, interned as those in its literals are */
    PyObject *body_event;              /* the value of "type" that was found last to be "http.response.body" */
} State;

/* ---- RunningStats: constant memory; times are seconds from the request */

typedef struct {
    PyObject_HEAD
    double first, last, accepted_at, silence, silence_at, backpressure, longest_backpressure, longest_gap;
    long long chunks, empty, bytes;
    unsigned int gaps[BOUNDS]; /* above each bound; more than these are of a millisecond take seven weeks */
    char silent;               /* was there a silence? */
} Stats;

/* Counts one chunk; accepted_at is NULL if downstream never took it. */
static void stats_count(Stats *self, double at, long long size, const double *accepted_at) {
    if (size <= 0) {
        self->empty++;
        return;
    }
    if (self->chunks == 0) {
        self->first = at;
    } else {
        double gap = at - self->last, silence = at - self->accepted_at;
        int bucket = 0;
        while (bucket < BOUNDS && gap > gap_bounds[bucket]) {
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
    self->bytes = size > LLONG_MAX - self->bytes ? LLONG_MAX : self->bytes + size;
    self->last = at;
    self->accepted_at = accepted;
    self->backpressure += waited;
    if (waited > self->longest_backpressure) {
        self->longest_backpressure = waited;
    }
}

static PyObject *stats_add(Stats *self, PyObject *args) {
    double at, seconds = 0.0;
    PyObject *size, *accepted_at;
    int overflow;
    if (!PyArg_ParseTuple(args, "dO!O:add", &at, &PyLong_Type, &size, &accepted_at) ||
        (accepted_at != Py_None && (seconds = PyFloat_AsDouble(accepted_at)) == -1.0 && PyErr_Occurred())) {
        return NULL;
    }
    long long bytes = PyLong_AsLongLongAndOverflow(size, &overflow);
    stats_count(self, at, overflow > 0 ? LLONG_MAX : bytes, accepted_at == Py_None ? NULL : &seconds);
    Py_RETURN_NONE;
}

static PyObject *stats_first(Stats *self, void *Py_UNUSED(closure)) {
    return self->chunks == 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(self->first);
}

static PyObject *stats_silence_at(Stats *self, void *Py_UNUSED(closure)) {
    return self->silent ? PyFloat_FromDouble(self->silence_at) : Py_NewRef(Py_None);
}

static PyObject *stats_gaps(Stats *self, void *Py_UNUSED(closure)) {
    long long rest = self->chunks - 1;
    if (rest <= 0) {
        Py_RETURN_NONE;
    }
    PyObject *gaps = PyTuple_New(BOUNDS + 1);
    for (int bucket = BOUNDS; gaps != NULL && bucket >= 0; bucket--) {
        long long here = bucket > 0 ? self->gaps[bucket - 1] : rest;
        PyObject *count = PyLong_FromLongLong(here);
        if (count == NULL || PyTuple_SetItem(gaps, bucket, count) < 0) {
            Py_CLEAR(gaps);
        }
        rest -= here;
    }
    return gaps;
}

static PyMethodDef stats_methods[] = {
    {"add", (PyCFunction)stats_add, METH_VARARGS, "Count one chunk, produced and accepted at these times."},
    {NULL},
};

static PyMemberDef stats_members[] = {
    {"last", T_DOUBLE, offsetof(Stats, last), READONLY},
    {"accepted_at", T_DOUBLE, offsetof(Stats, accepted_at), READONLY},
    {"silence", T_DOUBLE, offsetof(Stats, silence), READONLY},
    {"backpressure", T_DOUBLE, offsetof(Stats, backpressure), READONLY},
    {"longest_backpressure", T_DOUBLE, offsetof(Stats, longest_backpressure), READONLY},
    {"longest_gap", T_DOUBLE, offsetof(Stats, longest_gap), READONLY},
    {"chunks", T_LONGLONG, offsetof(Stats, chunks), READONLY},
    {"empty", T_LONGLONG, offsetof(Stats, empty), READONLY},
    {"bytes", T_LONGLONG, offsetof(Stats, bytes), READONLY},
    {NULL},
};

static PyGetSetDef stats_attributes[] = {
    {"first", (getter)stats_first, NULL, NULL, NULL},
    {"silence_at", (getter)stats_silence_at, NULL, NULL, NULL},
    {"gaps", (getter)stats_gaps, NULL, NULL, NULL},
    {NULL},
};

static PyType_Slot stats_slots[] = {
    {Py_tp_doc, "RunningStats(): statistics of a response without a chunk."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_methods, stats_methods},
    {Py_tp_members, stats_members},
    {Py_tp_getset, stats_attributes},
    {0, NULL},
};

/* ---- Counter: what Blocks, Sender and Sending have in common */

typedef struct {
    PyObject_HEAD
    Stats *running;
    PyObject *clock;       /* NULL: CLOCK_MONOTONIC */
    double start;          /* of the response by that clock */
    PyObject *listener;    /* a Recording; ASGI: the Python object whose send() takes every message */
    PyObject *source;      /* the app's iterator; the server's send, then its coroutine; NULL once it is over */
    PyObject *args;        /* of a Sending: what to call the server's send with, until it is called */
    PyObject *peer;     /* of a Sending: its Sender, until it is over; of a Sender: a Sending that is over, to use again */
    double produced;    /* of the chunk at hand, by the clock */
    Py_ssize_t size;
    char at_hand; /* is there a chunk that was not accepted yet? */
    char busy;    /* does the source run? Then nothing here may be dropped. */
} Counter;

static PyObject *counter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source", "running", "started_at", "listener", "clock", NULL};
    PyObject *source, *running, *listener, *clock;
    double start;
    const State *state = PyType_GetModuleState(type);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!dOO", names, &source, state->stats, &running, &start, &listener,
                                     &clock)) {
        return NULL;
    }
    if (PyType_GetSlot(type, Py_tp_iternext) != NULL && !PyIter_Check(source)) {
        PyErr_SetString(PyExc_TypeError, "An iterator was expected.");
        return NULL;
    }
    PyObject *object = PyType_GenericAlloc(type, 0);
    Counter *self = (Counter *)object;
    if (object != NULL) {
        self->running = (Stats *)Py_NewRef(running);
        self->clock = clock == Py_None ? NULL : Py_NewRef(clock);
        self->start = start;
        self->listener = Py_NewRef(listener);
        self->source = Py_NewRef(source);
    }
    return object;
}

/* Seconds; -1 with an exception, which only a clock that was given can raise. */
static int now(const Counter *self, double *seconds) {
    if (self->clock == NULL) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        *seconds = (double)((long long)time.tv_sec * 1000000000LL + time.tv_nsec) / 1e9;
        return 0;
    }
    PyObject *read = PyObject_CallNoArgs(self->clock);
    *seconds = read == NULL ? -1.0 : PyFloat_AsDouble(read);
    Py_XDECREF(read);
    return *seconds == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* Counts the chunk at hand, if there is one: accepted now, or not at all. -1 with an exception. */
static int count(Counter *self, int accepted) {
    double seconds = 0.0;
    if (self->at_hand) {
        if (accepted && now(self, &seconds) < 0) {
            return -1;
        }
        self->at_hand = 0;
        seconds -= self->start;
        stats_count(self->running, self->produced - self->start, self->size, accepted ? &seconds : NULL);
    }
    return 0;
}

/* Calls a method of the listener with the exception on its way, which stays on its way whatever that raises. */
static void report(Counter *self, const char *method) {
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *done = PyObject_CallMethod(self->listener, method, "(O)", error);
    if (done == NULL) {
        PyErr_WriteUnraisable(self->listener);
    }
    Py_XDECREF(done);
    PyErr_Restore(type, error, traceback);
}

static int is_usable(const Counter *self) {
    if (self->busy) {
        PyErr_SetString(PyExc_ValueError, "already executing: is another thread waiting for this stream?");
    } else if (self->source == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    }
    return !self->busy && self->source != NULL;
}

static int counter_traverse(Counter *self, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)Py_TYPE((PyObject *)self));
    Py_VISIT(self->clock);
    Py_VISIT(self->listener);
    Py_VISIT(self->source);
    Py_VISIT(self->args);
    Py_VISIT(self->peer);
    return 0;
}

/* It is over. The chunk at hand was not taken. */
static void end(Counter *self) {
    count(self, 0);
    Py_CLEAR(self->source);
    Py_CLEAR(self->args);
}

static int counter_clear(Counter *self) {
    end(self);
    Py_CLEAR(self->peer);
    Py_CLEAR(self->listener);
    Py_CLEAR(self->clock);
    return 0;
}

static void counter_dealloc(PyObject *object) {
    Counter *self = (Counter *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->running != NULL) {
        counter_clear(self);
    }
    Py_XDECREF((PyObject *)self->running);
    PyObject_GC_Del(object);
    Py_DECREF((PyObject *)type);
}

/* ---- Blocks: the iterator that a WSGI server gets. A block is accepted when the server asks for the next. */

static Py_ssize_t size_of(PyObject *block) {
    Py_buffer view;
    if (PyBytes_CheckExact(block)) {
        return PyBytes_Size(block);
    }
    if (PyObject_GetBuffer(block, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear(); /* not bytes */
        return 0;
    }
    Py_ssize_t size = view.len;
    PyBuffer_Release(&view);
    return size;
}

static PyObject *blocks_next(Counter *self) {
    PyObject *ended;
    if (self->source == NULL || !is_usable(self) || count(self, 1) < 0) {
        return NULL;
    }
    self->busy = 1;
    PyObject *block = PyIter_Next(self->source);
    self->busy = 0;
    if (block == NULL && PyErr_Occurred()) {
        report(self, "app_raised");
    } else if (now(self, &self->produced) == 0) {
        if (block != NULL) {
            self->size = size_of(block);
            self->at_hand = 1;
            return block;
        }
        if ((ended = PyFloat_FromDouble(self->produced)) != NULL) {
            PyObject_SetAttrString(self->listener, "exhausted_at", ended);
            Py_DECREF(ended);
        }
    }
    Py_XDECREF(block);
    end(self);
    return NULL;
}

static PyObject *blocks_close(Counter *self, PyObject *Py_UNUSED(ignored)) {
    if (self->busy && !is_usable(self)) {
        return NULL;
    }
    end(self);
    Py_RETURN_NONE;
}

static PyMethodDef blocks_methods[] = {
    {"close", (PyCFunction)blocks_close, METH_NOARGS, "No more blocks; the one at hand was not taken."},
    {NULL},
};

static PyType_Slot blocks_slots[] = {
    {Py_tp_doc, "Blocks(iterator, running, started_at, recording, clock): the iterator's blocks, counted."},
    {Py_tp_new, counter_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, blocks_next},
    {Py_tp_methods, blocks_methods},
    {Py_tp_traverse, counter_traverse},
    {Py_tp_clear, counter_clear},
    {Py_tp_dealloc, counter_dealloc},
    {0, NULL},
};

/* ---- Sending: one plain piece of an ASGI body on its way, like a coroutine. It is produced when it is first awaited and
   accepted when the server's send is over. */

/* Calls the server's send: -1 with an exception. */
static int sending_begin(Counter *self) {
    PyObject *args = self->args, *send = self->source;
    self->args = NULL;
    self->at_hand = now(self, &self->produced) == 0;
    self->source = self->at_hand ? PyObject_Call(send, args, NULL) : NULL;
    Py_DECREF(send);
    Py_DECREF(args);
    const State *state = PyType_GetModuleState(Py_TYPE((PyObject *)self));
    if (self->source != NULL && !Py_IS_TYPE(self->source, state->coroutine)) {
        PyObject *awaitable = self->source;
        self->source = PyObject_CallMethod(self->listener, "awaited", "(O)", awaitable);
        Py_DECREF(awaitable);
    }
    return self->source == NULL ? -1 : 0;
}

/* The server's send is over; it raised when "how" is PYGEN_ERROR. */
static PySendResult sending_over(Counter *self, PySendResult how) {
    if (how == PYGEN_ERROR || count(self, 1) < 0) {
        how = PYGEN_ERROR;
        report(self, "refused");
    }
    end(self);
    Counter *sender = (Counter *)self->peer;
    self->peer = NULL;
    if (sender->peer == NULL) {
        sender->peer = Py_NewRef((PyObject *)self);
    }
    Py_DECREF((PyObject *)sender);
    return how;
}

static PySendResult sending_send(Counter *self, PyObject *value, PyObject **result) {
    *result = NULL;
    if (!is_usable(self)) {
        return PYGEN_ERROR;
    }
    if (self->args != NULL && value != Py_None) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    PySendResult how = PYGEN_ERROR;
    self->busy = 1;
    if (self->args == NULL || sending_begin(self) == 0) {
        how = PyIter_Send(self->source, value, result);
    }
    self->busy = 0;
    if (how != PYGEN_NEXT) {
        Py_CLEAR(*result);
        how = sending_over(self, how);
        *result = how == PYGEN_RETURN ? Py_NewRef(Py_None) : NULL;
    }
    return how;
}

/* send() of a coroutine, which says by StopIteration that it is over. */
static PyObject *sending_send_method(Counter *self, PyObject *value) {
    PyObject *result;
    if (sending_send(self, value, &result) == PYGEN_RETURN) {
        Py_CLEAR(result);
        PyErr_SetNone(PyExc_StopIteration);
    }
    return result;
}

static PyObject *sending_next(Counter *self) {
    return sending_send_method(self, Py_None);
}

static PyObject *sending_throw(Counter *self, PyObject *args) {
    if (!is_usable(self)) {
        return NULL;
    }
    PyObject *inner = self->args == NULL ? Py_NewRef(self->source) : NULL, *yielded = NULL;
    int begun = inner != NULL;
    if (!begun) { /* any coroutine that has not begun raises what it is given */
        inner = PyObject_CallMethod(self->listener, "awaited", "(O)", Py_None);
        end(self);
    }
    self->busy = 1;
    if (inner != NULL) {
        yielded = PyObject_CallMethod(inner, "throw", "O", args); /* a tuple alone is all arguments */
        Py_DECREF(inner);
    }
    self->busy = 0;
    if (yielded == NULL && begun) {
        int returned = PyErr_ExceptionMatches(PyExc_StopIteration);
        if (returned) {
            PyErr_Clear();
        }
        if (sending_over(self, returned ? PYGEN_RETURN : PYGEN_ERROR) == PYGEN_RETURN) {
            PyErr_SetNone(PyExc_StopIteration);
        }
    }
    return yielded;
}

static PyObject *sending_close(Counter *self, PyObject *Py_UNUSED(ignored)) {
    if (self->busy && !is_usable(self)) {
        return NULL;
    }
    if (self->source != NULL && self->args == NULL) {
        self->busy = 1;
        PyObject *closed = PyObject_CallMethod(self->source, "close", NULL);
        self->busy = 0;
        if (closed == NULL) {
            sending_over(self, PYGEN_ERROR);
            return NULL;
        }
        Py_DECREF(closed);
    }
    end(self);
    Py_RETURN_NONE;
}

static PyMethodDef sending_methods[] = {
    {"send", (PyCFunction)sending_send_method, METH_O, "As a coroutine's."},
    {"throw", (PyCFunction)sending_throw, METH_VARARGS, "As a coroutine's."},
    {"close", (PyCFunction)sending_close, METH_NOARGS, "As a coroutine's."},
    {NULL},
};

static PyType_Slot sending_slots[] = {
    {Py_tp_doc, "One message on its way to the server, like a coroutine."},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, sending_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, sending_next},
    {Py_tp_methods, sending_methods},
    {Py_tp_traverse, counter_traverse},
    {Py_tp_clear, counter_clear},
    {Py_tp_dealloc, counter_dealloc},
    {0, NULL},
};

/* ---- Sender: the send that an ASGI app gets. The Python's send() takes all but plain pieces of a body. */

static int is_body_event(State *state, PyObject *type) {
    if (type != state->body_event) {
        if (!PyUnicode_CheckExact(type) || PyUnicode_Compare(type, state->body_event) != 0) {
            return 0;
        }
        Py_DECREF(state->body_event);
        state->body_event = Py_NewRef(type);
    }
    return 1;
}

/* Does this message begin with "type": "http.response.body", "body": bytes and "more_body": True, in any order? Then *size
   is how many bytes. It is walked, because a look-up may run code of the keys, and raise. */
static int is_piece(State *state, PyObject *message, Py_ssize_t *size) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    int found = 0;
    for (; found < 3 && PyDict_CheckExact(message) && PyDict_Next(message, &position, &key, &value); found++) {
        if (key == state->body && PyBytes_CheckExact(value)) {
            *size = PyBytes_Size(value);
        } else if ((key != state->more_body || value != Py_True) &&
                   (key != state->type || !is_body_event(state, value))) {
            return 0;
        }
    }
    return found == 3;
}

static PyObject *sender_call(Counter *self, PyObject *args, PyObject *kwargs) {
    State *state = PyType_GetModuleState(Py_TYPE((PyObject *)self));
    Py_ssize_t size = 0;
    if (self->source == NULL && !is_usable(self)) {
        return NULL;
    }
    if (kwargs != NULL || PyTuple_Size(args) != 1 || !is_piece(state, PyTuple_GetItem(args, 0), &size)) {
        PyObject *send = PyObject_GetAttrString(self->listener, "send");
        PyObject *coroutine = send == NULL ? NULL : PyObject_Call(send, args, kwargs);
        Py_XDECREF(send);
        return coroutine;
    }
    Counter *sending = (Counter *)self->peer;
    self->peer = NULL;
    if (sending == NULL || Py_REFCNT((PyObject *)sending) > 1) { /* somebody else holds it */
        Py_XDECREF((PyObject *)sending);
        if ((sending = PyObject_GC_New(Counter, state->sending)) == NULL) {
            return NULL;
        }
        sending->running = (Stats *)Py_NewRef((PyObject *)self->running);
        sending->clock = Py_XNewRef(self->clock);
        sending->start = self->start;
        sending->listener = Py_NewRef(self->listener);
        sending->at_hand = sending->busy = 0;
        sending->source = sending->args = sending->peer = NULL;
        PyObject_GC_Track((PyObject *)sending);
    }
    sending->peer = Py_NewRef((PyObject *)self);
    sending->source = Py_NewRef(self->source);
    sending->args = Py_NewRef(args);
    sending->size = size;
    return (PyObject *)sending;
}

static PyType_Slot sender_slots[] = {
    {Py_tp_doc, "Sender(send, running, started_at, watched, clock): the server's send, counted."},
    {Py_tp_new, counter_new},
    {Py_tp_call, sender_call},
    {Py_tp_traverse, counter_traverse},
    {Py_tp_clear, counter_clear},
    {Py_tp_dealloc, counter_dealloc},
    {0, NULL},
};

/* ---- the module */

#define COLLECTED (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC)
#define MADE_HERE (COLLECTED | Py_TPFLAGS_DISALLOW_INSTANTIATION)

static PyType_Spec stats_spec = {NAME "RunningStats", sizeof(Stats), 0, Py_TPFLAGS_DEFAULT, stats_slots};
static PyType_Spec blocks_spec = {NAME "Blocks", sizeof(Counter), 0, COLLECTED, blocks_slots};
static PyType_Spec sender_spec = {NAME "Sender", sizeof(Counter), 0, COLLECTED, sender_slots};
static PyType_Spec sending_spec = {NAME "Sending", sizeof(Counter), 0, MADE_HERE, sending_slots};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec) {
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return type == NULL || PyModule_AddType(module, type) < 0 ? NULL : type;
}

static int execute(PyObject *module) {
    State *state = PyModule_GetState(module);
    PyObject *types = PyImport_ImportModule("types");
    int made = types != NULL &&
               (state->coroutine = (PyTypeObject *)PyObject_GetAttrString(types, "CoroutineType")) != NULL &&
               (state->type = PyUnicode_InternFromString("type")) != NULL &&
               (state->body = PyUnicode_InternFromString("body")) != NULL &&
               (state->more_body = PyUnicode_InternFromString("more_body")) != NULL &&
               (state->body_event = PyUnicode_FromString("http.response.body")) != NULL &&
               (state->stats = add_type(module, &stats_spec)) != NULL &&
               (state->sending = add_type(module, &sending_spec)) != NULL &&
               add_type(module, &blocks_spec) != NULL && add_type(module, &sender_spec) != NULL;
    Py_XDECREF(types);
    return made ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_counting",
    .m_doc = "What both middlewares count chunk by chunk, compiled.",
    .m_size = sizeof(State),
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__counting(void) {
    return PyModuleDef_Init(&definition);
}
