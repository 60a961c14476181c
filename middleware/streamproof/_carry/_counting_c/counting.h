/* The objects of the extension module _counting, and what its files share. */

#ifndef STREAMPROOF_COUNTING_H
#define STREAMPROOF_COUNTING_H

#include "counts.h"

typedef struct Sender Sender;

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
    Counts counts;
    PyObject *send;    /* the server's */
    PyObject *other;   /* takes any message that is no plain piece of a body */
    PyObject *refused; /* called with error, produced, length, None */
    Sending *spare;    /* one that is over: an app sends one message at a time */
    vectorcallfunc call;
};

extern PyTypeObject *streamproof_sending_type;
extern PyType_Spec streamproof_blocks_spec, streamproof_sending_spec, streamproof_sender_spec;
extern PyObject *streamproof_exhausted_at, *streamproof_throw, *streamproof_close, *streamproof_more, *streamproof_body;
extern PyObject *streamproof_line_type(PyObject *module);

#endif
