/* What bodies.py and asgi.py count chunk by chunk in Python, counted in C: to the bit (tests/test_counting.py).
 *
 * Knows Counts, the running sums of one response since they were last folded into its Tally (sansio/figures.py), which
 * sees only the first chunk, the gaps worth noticing, and the sums. Does not know who drives it.
 *
 * Times are seconds on time.perf_counter's clock, which on Linux is CLOCK_MONOTONIC (Python/pytime.c,
 * py_get_monotonic_clock); compiled.py asks that the two agree before it uses this. A callable takes its place in tests.
 */

#ifndef STREAMPROOF_COUNTS_H
#define STREAMPROOF_COUNTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifdef Py_GIL_DISABLED
#error "Its objects count on the GIL. Without it, the Python in bodies.py and asgi.py does the same work."
#endif
#include <structmember.h>
#include <time.h>

typedef struct {
    PyObject *tally; /* a Tally; takes the first chunk, the gaps worth noticing, and the sums at the end */
    PyObject *clock; /* NULL: CLOCK_MONOTONIC */
    double start, last, accepted, waited, longest, limit, quiet;
    long long chunks, size, empty;
    int begun;
} Counts;

static inline int
now(const Counts *counts, double *seconds)
{
    if (counts->clock == NULL) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        *seconds = (double)((long long)time.tv_sec * 1000000000LL + time.tv_nsec) / 1e9;
        return 0;
    }
    PyObject *read = PyObject_CallNoArgs(counts->clock);
    if (read == NULL) {
        return -1;
    }
    *seconds = PyFloat_AsDouble(read);
    Py_DECREF(read);
    return *seconds == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static inline int
add(const Counts *counts, double produced, Py_ssize_t length, const double *accepted)
{
    PyObject *done =
        accepted == NULL
            ? PyObject_CallMethod(counts->tally, "add", "dnO", produced - counts->start, length, Py_None)
            : PyObject_CallMethod(counts->tally, "add", "dnd", produced - counts->start, length, *accepted - counts->start);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* A gap that may be the longest, or too long for the first bucket, or hold the longest silence: Tally.notice(). */
static inline int
notice(Counts *counts, double gap, double silence)
{
    PyObject *limits =
        PyObject_CallMethod(counts->tally, "notice", "ddd", gap, silence, counts->accepted - counts->start);
    if (limits == NULL) {
        return -1;
    }
    int good = PyArg_ParseTuple(limits, "dd", &counts->limit, &counts->quiet);
    Py_DECREF(limits);
    return good ? 0 : -1;
}

static inline int
count(Counts *counts, double produced, Py_ssize_t length, double accepted)
{
    if (!counts->begun) {
        if (add(counts, produced, length, &accepted) < 0) {
            return -1;
        }
        counts->begun = length > 0;
    }
    else if (length == 0) {
        counts->empty++;
        return 0;
    }
    else {
        double gap = produced - counts->last, silence = produced - counts->accepted, wait = accepted - produced;
        if ((gap > counts->limit || silence > counts->quiet) && notice(counts, gap, silence) < 0) {
            return -1;
        }
        counts->waited += wait;
        if (wait > counts->longest) {
            counts->longest = wait;
        }
        counts->chunks++;
        counts->size += length;
    }
    counts->last = produced;
    counts->accepted = accepted;
    return 0;
}

static inline int
settle(Counts *counts)
{
    if (counts->chunks == 0 && counts->empty == 0) {
        return 0;
    }
    PyObject *done = PyObject_CallMethod(counts->tally, "settle", "LLLdddd", counts->chunks, counts->size, counts->empty,
                                         counts->last - counts->start, counts->accepted - counts->start, counts->waited,
                                         counts->longest);
    counts->chunks = counts->size = counts->empty = 0;
    counts->waited = 0.0;
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static inline PyObject *
look(const Counts *counts)
{
    if (!counts->begun) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("LLd", counts->chunks, counts->size, counts->accepted);
}

static inline PyObject *
taken(PyObject *object) /* a new reference, and NULL for None */
{
    return object == Py_None ? NULL : Py_NewRef(object);
}

#endif
