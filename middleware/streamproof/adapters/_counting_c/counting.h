/* The objects of the extension module _counting, and what its files share.
 *
 * Times are seconds on time.perf_counter's clock, which on Linux is CLOCK_MONOTONIC (Python/pytime.c,
 * py_get_monotonic_clock); compiled.py asks that the two agree before it uses this. A callable takes its place in tests.
 */

#ifndef STREAMPROOF_COUNTING_H
#define STREAMPROOF_COUNTING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifdef Py_GIL_DISABLED
#error "Its objects count on the GIL. Without it, the Python in bodies.py and asgi_record.py does the same work."
#endif
#include <structmember.h>
#include <time.h>

typedef struct Tally Tally;
typedef struct Sender Sender;

/* When a response began, by which clock, and where it is added up. */
typedef struct {
    Tally *tally;
    PyObject *clock; /* NULL: CLOCK_MONOTONIC */
    double start;
} Timing;

typedef struct {
    PyObject_HEAD
    Sender *sender;
    PyObject *message; /* until it is sent */
    PyObject *inner;   /* what the server's send gave, once it was called */
    double produced;
    Py_ssize_t length;
    enum { CALLED, RUNNING, OVER } state;
} Sending;

struct Sender {
    PyObject_HEAD
    Timing timing;
    PyObject *send;    /* the server's */
    PyObject *watched; /* other(message) takes what is no plain piece of a body; refused(error, produced, length, None) */
    Sending *spare;    /* one that is over: an app sends one message at a time */
    vectorcallfunc call;
};

extern PyTypeObject *streamproof_sending_type, *streamproof_tally_type;
extern PyType_Spec streamproof_blocks_spec, streamproof_sending_spec, streamproof_sender_spec, streamproof_tally_spec;
extern PyObject *streamproof_exhausted_at, *streamproof_throw, *streamproof_close, *streamproof_more, *streamproof_body;
extern PyObject *streamproof_other, *streamproof_refused;
extern PyObject *streamproof_line_type(PyObject *module);
extern void streamproof_add(Tally *tally, double at, Py_ssize_t size, const double *accepted_at);
extern int streamproof_take_bounds(PyObject *bounds);

/* Seconds; -1 with an exception, which only a clock that was given can raise. */
static inline int
now(const Timing *timing, double *seconds)
{
    if (timing->clock == NULL) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        *seconds = (double)((long long)time.tv_sec * 1000000000LL + time.tv_nsec) / 1e9;
        return 0;
    }
    PyObject *read = PyObject_CallNoArgs(timing->clock);
    if (read == NULL) {
        return -1;
    }
    *seconds = PyFloat_AsDouble(read);
    Py_DECREF(read);
    return *seconds == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static inline void
count(const Timing *timing, double produced, Py_ssize_t length, double accepted)
{
    double at = accepted - timing->start;
    streamproof_add(timing->tally, produced - timing->start, length, &at);
}

/* Takes a Tally, a number and None or a clock; -1 with an exception. */
static inline int
begin(Timing *timing, PyObject *tally, double start, PyObject *clock)
{
    if (Py_TYPE(tally) != streamproof_tally_type) {
        PyErr_Format(PyExc_TypeError, "The compiled Tally was expected, not %.100s.", Py_TYPE(tally)->tp_name);
        return -1;
    }
    timing->tally = (Tally *)Py_NewRef(tally);
    timing->clock = clock == Py_None ? NULL : Py_NewRef(clock);
    timing->start = start;
    return 0;
}

#endif
