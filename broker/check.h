/* check.h - `lbbroker check`: would this broker start? Reports each thing that it checks; changes
 * nothing. */
#ifndef LB_BROKER_CHECK_H
#define LB_BROKER_CHECK_H

#include "broker/broker.h"

/* Prints a line for each point to stdout. Returns 0 if all is well, else 1. */
int broker_check(const struct broker_options *o);

#endif
