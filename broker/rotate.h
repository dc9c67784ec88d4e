/* rotate.h - lbbroker rotate: a new key for the broker. */
#ifndef LB_BROKER_ROTATE_H
#define LB_BROKER_ROTATE_H

/* The verb; returns the exit code. */
int broker_rotate(int argc, char **argv);

#endif
