/* Line: what a server's thread and the thread that owns its app say to each other, one at a time (pump.py).
 *
 * Knows two slots, orders down and what they brought up; the latest thing said replaces what nobody heard. Each says its
 * word after it let go of the GIL and then waits without it, so that the other finds the GIL free: waking a thread that
 * has to queue for the GIL next costs two sleeps more. Whoever waits first watches the slot for SPIN_NS, for to sleep and
 * be woken on another processor takes about as long; then it sleeps.
 */

#include "counting.h"
#include <sched.h>
#include <stdatomic.h>

#define SPIN_NS 50000LL /* twice 25 us, what one sleep and wake-up between two idle processors was measured to take */
#define LOOKS 16        /* between two offers of the processor: the other thread may need this very one */

typedef struct {
    _Atomic(PyObject *) word;
    atomic_int asleep;
    PyThread_type_lock wake; /* held, but when somebody is to wake up */
} Slot;

typedef struct {
    PyObject_HEAD
    Slot orders, brought;
} Line;

static PyObject *empty;

static long long
nanoseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (long long)time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Needs no GIL. Gives what was there unheard. */
static PyObject *
say(Slot *slot, PyObject *word)
{
    PyObject *unheard = atomic_exchange(&slot->word, word);
    if (atomic_exchange(&slot->asleep, 0)) {
        PyThread_release_lock(slot->wake);
    }
    return unheard;
}

/* No longer asleep; if the other side was faster to say so, its wake-up is taken. */
static void
rise(Slot *slot)
{
    if (!atomic_exchange(&slot->asleep, 0)) {
        PyThread_acquire_lock(slot->wake, WAIT_LOCK);
    }
}

/* Waits until something was said, or until the time (nanoseconds, negative: never). Needs no GIL. 1 at a signal. */
static int
wait_for(Slot *slot, long long until)
{
    long long given_up = nanoseconds() + SPIN_NS;
    while (atomic_load(&slot->word) == NULL && nanoseconds() < given_up) {
        for (int looks = 0; looks < LOOKS && atomic_load_explicit(&slot->word, memory_order_relaxed) == NULL; looks++) {
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
        sched_yield();
    }
    while (atomic_load(&slot->word) == NULL) {
        long long left = until < 0 ? -1 : until - nanoseconds();
        if (until >= 0 && left <= 0) {
            return 0;
        }
        atomic_store(&slot->asleep, 1);
        if (atomic_load(&slot->word) != NULL) {
            rise(slot);
            return 0;
        }
        PyLockStatus how = PyThread_acquire_lock_timed(slot->wake, left < 0 ? -1 : (left + 999) / 1000, 1);
        if (how != PY_LOCK_ACQUIRED) {
            rise(slot);
        }
        if (how == PY_LOCK_INTR) {
            return 1;
        }
    }
    return 0;
}

/* Says word (NULL: nothing) in one slot, then waits for one in the other: a new reference. */
static PyObject *
swap(Slot *mine, PyObject *word, Slot *other, PyObject *timeout)
{
    long long until = -1;
    if (timeout != Py_None) {
        double seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred()) {
            return NULL;
        }
        if (seconds < 1e9) {
            until = nanoseconds() + (long long)(seconds > 0.0 ? seconds * 1e9 : 0.0);
        }
    }
    PyObject *unheard = NULL, *heard;
    Py_XINCREF(word);
    do {
        int interrupted;
        Py_BEGIN_ALLOW_THREADS
        if (word != NULL) {
            unheard = say(mine, word);
            word = NULL;
        }
        interrupted = wait_for(other, until);
        Py_END_ALLOW_THREADS
        Py_CLEAR(unheard);
        heard = atomic_exchange(&other->word, NULL);
        if (heard == NULL && interrupted && PyErr_CheckSignals() < 0) {
            return NULL;
        }
    } while (heard == NULL && (until < 0 || nanoseconds() < until));
    if (heard == NULL) {
        PyErr_SetNone(empty);
    }
    return heard;
}

static PyObject *
line_ask(Line *self, PyObject *args)
{
    PyObject *order, *timeout;
    if (!PyArg_ParseTuple(args, "OO:ask", &order, &timeout)) {
        return NULL;
    }
    return swap(&self->orders, order, &self->brought, timeout);
}

static PyObject *
line_wait(Line *self, PyObject *timeout)
{
    return swap(&self->orders, NULL, &self->brought, timeout);
}

static PyObject *
line_bring(Line *self, PyObject *brought)
{
    return swap(&self->brought, brought, &self->orders, Py_None);
}

static PyObject *
line_begin(Line *self, PyObject *Py_UNUSED(ignored))
{
    return swap(&self->brought, NULL, &self->orders, Py_None);
}

static PyObject *
line_order(Line *self, PyObject *order)
{
    Py_XDECREF(say(&self->orders, Py_NewRef(order)));
    Py_RETURN_NONE;
}

static PyObject *
line_finish(Line *self, PyObject *brought)
{
    Py_XDECREF(say(&self->brought, Py_NewRef(brought)));
    Py_RETURN_NONE;
}

static int
line_traverse(Line *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(atomic_load(&self->orders.word));
    Py_VISIT(atomic_load(&self->brought.word));
    return 0;
}

static int
line_clear(Line *self)
{
    Py_XDECREF(atomic_exchange(&self->orders.word, NULL));
    Py_XDECREF(atomic_exchange(&self->brought.word, NULL));
    return 0;
}

static void
line_dealloc(Line *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    line_clear(self);
    for (Slot *slot = &self->orders; slot <= &self->brought; slot++) {
        if (slot->wake != NULL) {
            PyThread_release_lock(slot->wake);
            PyThread_free_lock(slot->wake);
        }
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
line_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Line *self = (Line *)type->tp_alloc(type, 0);
    for (Slot *slot = &self->orders; self != NULL && slot <= &self->brought; slot++) {
        if ((slot->wake = PyThread_allocate_lock()) == NULL) {
            Py_DECREF(self);
            return PyErr_NoMemory();
        }
        PyThread_acquire_lock(slot->wake, WAIT_LOCK);
    }
    return (PyObject *)self;
}

static PyMethodDef line_methods[] = {
    {"ask", (PyCFunction)line_ask, METH_VARARGS, "Give an order, wait for what it brings; queue.Empty after the timeout."},
    {"wait", (PyCFunction)line_wait, METH_O, "Wait for what the last order brings; queue.Empty after the timeout."},
    {"order", (PyCFunction)line_order, METH_O, "Give an order and wait for nothing."},
    {"begin", (PyCFunction)line_begin, METH_NOARGS, "Wait for the first order."},
    {"bring", (PyCFunction)line_bring, METH_O, "Bring what was ordered, wait for the next order."},
    {"finish", (PyCFunction)line_finish, METH_O, "Bring the last thing."},
    {NULL},
};

static PyType_Slot line_slots[] = {
    {Py_tp_doc, "Line(): between the thread of a server and the one of its app."},
    {Py_tp_new, line_new},
    {Py_tp_methods, line_methods},
    {Py_tp_traverse, line_traverse},
    {Py_tp_clear, line_clear},
    {Py_tp_dealloc, line_dealloc},
    {0, NULL},
};

static PyType_Spec line_spec = {
    "streamproof.adapters._counting.Line",
    sizeof(Line),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    line_slots,
};

/* The type; NULL with an exception. */
PyObject *
streamproof_line_type(PyObject *module)
{
    PyObject *queue = empty == NULL ? PyImport_ImportModule("_queue") : NULL;
    if (queue != NULL) {
        empty = PyObject_GetAttrString(queue, "Empty");
        Py_DECREF(queue);
    }
    return empty == NULL ? NULL : PyType_FromModuleAndSpec(module, &line_spec, NULL);
}
